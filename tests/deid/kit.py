"""What the engine's tests share: recipes, a source, and what came of it."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset

from node.deid import deidentify
from node.profile.load import load_profile
from node.profile.recipe import Recipe
from tests.conftest import BUNDLED
from tests.factories import write_instance

KEY = bytes(range(32))
MODIFIED = "retain-longitudinal-modified-dates"


def recipe(
    folder: Path, *options: str, rules: str = "", pseudonyms: str = "", more: str = "", **known: str
) -> Recipe:
    """Make a recipe of the basic profile with options and, in TOML, further lines of its tables."""
    path = folder / "profile.toml"
    path.write_text(
        f'base = "basic"\noptions = {[str(option) for option in options]}\n'
        f'[pseudonyms]\ndomain = "tests"\n{pseudonyms}\n[rules]\n{rules}\n{more}\n'
    )
    return Recipe(load_profile(str(path)), KEY, **known)


def run(folder: Path, dataset: Dataset | Path, how: Recipe) -> Path:
    """De-identify a dataset (or a file) and return the output's path."""
    source = dataset
    if isinstance(dataset, Dataset):
        source = write_instance(folder / "source.dcm", dataset)
    target = folder / "target.dcm"
    target.unlink(missing_ok=True)
    deidentify(source, target, how)
    return target


def outcome(folder: Path, dataset: Dataset | Path, how: Recipe) -> FileDataset:
    """De-identify and read what came of it with pydicom."""
    result = dcmread(run(folder, dataset, how))
    str(result)  # every value is decoded, and a warning is an error
    return result


def bundled(name: str) -> FileDataset:
    """Read a compressed file of pydicom's and give it the identity that it lacks."""
    dataset = dcmread(BUNDLED / name)
    dataset.PatientID = "MRN1"
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        setattr(dataset, keyword, dataset.get(keyword) or "1.2.3")
    return dataset
