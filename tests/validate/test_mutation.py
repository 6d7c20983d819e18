"""The mutation proof: every engine broken on purpose is caught, and the honest one passes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.deid import deidentify
from node.profile.recipe import Recipe
from node.validate import Severity, Verdict, validate
from node.validate.findings import tag_path
from tests.factories import write_instance
from tests.validate.mutants import Mutant, all_mutants
from tests.validate.rich import every_row, rich_image, rich_report

CAUGHT = {Severity.LEAK, Severity.INVALID}


class Bench:
    """Runs engines on originals that are written once."""

    def __init__(self, folder: Path, basic: Recipe, research: Recipe) -> None:
        self.folder = folder
        self.recipes = {"basic": basic, "research": research}
        self.sources = {
            make: write_instance(folder / f"{make.__name__}.dcm", make())
            for make in (every_row, rich_image, rich_report)
        }

    def run(self, mutant: Mutant) -> Verdict:
        """Let a broken engine work, and validate what it wrote by the true recipe."""
        recipe = self.recipes[mutant.profile]
        source, target = self.sources[mutant.source], self.folder / "target.dcm"
        target.unlink(missing_ok=True)
        deidentify(source, target, mutant.decides(recipe) if mutant.decides else recipe)
        if mutant.writes:
            edit(target, source, mutant)
        if mutant.spoils:
            target.write_bytes(mutant.spoils(target.read_bytes()))
        return validate(source, target, recipe)


def edit(target: Path, source: Path, mutant: Mutant) -> None:
    """Change what the honest engine wrote."""
    output = dcmread(target)
    assert mutant.writes
    mutant.writes(output, dcmread(source))
    if "SOPInstanceUID" in output:
        output.file_meta.MediaStorageSOPInstanceUID = output.SOPInstanceUID
        output.file_meta.MediaStorageSOPClassUID = output.SOPClassUID
    kept = Dataset(output)
    kept.file_meta, kept.preamble = output.file_meta, bytes(128)
    kept.save_as(target, enforce_file_format=True)


@pytest.fixture
def bench(tmp_path: Path, basic: Recipe, research: Recipe) -> Bench:
    """Give a bench with the rich originals."""
    return Bench(tmp_path, basic, research)


def test_every_broken_engine_is_caught(
    bench: Bench, basic: Recipe, research: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    """The score is 100 %: each mutant ends as a LEAK or INVALID finding."""
    tried, survivors = 0, []
    for mutant in all_mutants(basic.profile, research.profile):
        caught = {
            finding.path for finding in bench.run(mutant).findings if finding.severity in CAUGHT
        }
        tried += len(mutant.breaks) or 1
        survivors += [
            f"{mutant.profile}: {mutant.name}: {tag:08X}"
            for tag in mutant.breaks
            if not any(path.startswith(tag_path("", tag)) for path in caught)
        ]
        if not mutant.breaks and not caught:
            survivors.append(f"{mutant.profile}: {mutant.name} ({mutant.source.__name__})")
    with capsys.disabled():
        score = f"{tried - len(survivors)} of {tried} broken engines caught"
        print(f"\nmutation proof: {score}")  # noqa: T201 -- the score is what a reader wants
    assert survivors == []
    assert tried > 500


@pytest.mark.parametrize("profile", ["basic", "research"])
@pytest.mark.parametrize("make", [every_row, rich_image, rich_report])
def test_the_honest_engine_passes(bench: Bench, profile: str, make: object) -> None:
    """What the proof breaks is not held while it is whole."""
    verdict = bench.run(Mutant("honest", profile, make))
    assert [finding for finding in verdict.findings if finding.severity in CAUGHT] == []
