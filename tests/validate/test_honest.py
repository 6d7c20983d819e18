"""No false alarm: whatever the recipe and the original, the whole engine's output passes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from node.deid import Held, Quarantined, deidentify
from node.profile.load import load_profile
from node.profile.recipe import Recipe
from node.validate import Finding, Severity, validate
from tests.conftest import BUNDLED
from tests.factories import make_instance, write_instance
from tests.validate.conftest import KEY
from tests.validate.rich import rich_image

FAULTS = {Severity.LEAK, Severity.INVALID}


def faults(folder: Path, dataset: FileDataset, recipe: Recipe) -> list[Finding]:
    """De-identify with the whole engine and give the faults that the validator finds."""
    source, target = write_instance(folder / "source.dcm", dataset), folder / "target.dcm"
    target.unlink(missing_ok=True)
    deidentify(source, target, recipe)
    verdict = validate(source, target, recipe)
    return [finding for finding in verdict.findings if finding.severity in FAULTS]


def profile(folder: Path, text: str) -> Recipe:
    """Make a recipe of a profile written for this test."""
    path = folder / "trial.toml"
    path.write_text('base = "basic"\n' + text, encoding="utf-8")
    return Recipe(load_profile(str(path)), KEY)


@pytest.mark.parametrize("name", ["basic", "research"])
@pytest.mark.parametrize("said", ["finding 1 on the left", "two findings, drain REMOVED"])
def test_a_report_that_says_what_our_dummies_say(tmp_path: Path, name: str, said: str) -> None:
    """Every second report has a finding, and something was removed; nobody is called so."""
    item = Dataset()
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", said
    concept = Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator = "121071", "DCM"
    concept.CodeMeaning = "Finding"
    item.ConceptNameCodeSequence = [concept]
    report = make_instance()
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = ComprehensiveSRStorage
    report.PatientComments = said
    report.ContentSequence = [item]
    del report.PixelData
    assert faults(tmp_path, report, Recipe(load_profile(name), KEY)) == []


@pytest.mark.parametrize("name", ["basic", "research"])
@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian,
     DeflatedExplicitVRLittleEndian],
)  # fmt: skip
def test_every_native_syntax(
    tmp_path: Path, syntax: str, name: str, request: pytest.FixtureRequest
) -> None:
    """Big Endian and Deflated leave as Explicit VR Little Endian; the pixels are the same."""
    dataset = rich_image(syntax)
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, np.uint16).byteswap().tobytes()
    assert faults(tmp_path, dataset, request.getfixturevalue(name)) == []


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, RLELossless])
def test_every_kind_of_codestream(tmp_path: Path, basic: Recipe, syntax: str) -> None:
    """Compressed frames are compared without their comments."""
    dataset = make_instance(rows=64)
    dataset.compress(syntax, generate_instance_uid=False)
    assert faults(tmp_path, dataset, basic) == []


RULES = """
[rules]
SeriesDescription = "keep"
PatientSex = "keep"
StationName = "remove"
Manufacturer = "empty"
StudyDescription = { action = "replace", value = "Trial 7" }
ProtocolName = "hash"
DeviceUID = "remap"
StudyDate = "shift"
PatientBirthDate = "shift"
ClinicalTrialProtocolID = { action = "replace", value = "T7" }
'(0019,"GEMS_ACQU_01",23)' = "keep"
"""


def test_a_site_s_own_rules(tmp_path: Path) -> None:
    """Each verb: kept, removed, emptied, replaced (or inserted), hashed, remapped, shifted."""
    dataset = rich_image()
    dataset.SeriesDescription = "axial slices"
    dataset.DeviceUID = "1.2.826.0.1.3680043.9.7777.5"
    assert faults(tmp_path, dataset, profile(tmp_path, RULES)) == []


def test_pseudonyms_from_a_lookup(tmp_path: Path) -> None:
    """The site's own pseudonym stands for the patient."""
    table = tmp_path / "subjects.csv"
    table.write_text("patient_id,issuer,pseudonym\nMRN000001,,SUBJ-017\n", encoding="utf-8")
    recipe = profile(tmp_path, '[pseudonyms]\nlookup = "subjects.csv"\n')
    assert faults(tmp_path, make_instance(), recipe) == []


def test_a_route_s_issuer_and_character_set(tmp_path: Path, basic: Recipe) -> None:
    """Where the data set names none, the route's are taken, by engine and validator alike."""
    recipe = Recipe(basic.profile, KEY, default_issuer="Hospital B", assume_charset="ISO_IR 100")
    dataset = make_instance()
    dataset.PatientID = "MÜ-17"
    dataset.SpecificCharacterSet = "ISO_IR 100"
    path = write_instance(tmp_path / "declared.dcm", dataset)
    data = path.read_bytes().replace(b"\x08\0\x05\0CS\x0a\0ISO_IR 100", b"")
    source, target = tmp_path / "source.dcm", tmp_path / "target.dcm"
    source.write_bytes(data)
    deidentify(source, target, recipe)
    found = validate(source, target, recipe).findings
    assert [finding for finding in found if finding.severity in FAULTS] == []
    other = Recipe(basic.profile, KEY, default_issuer="Hospital A", assume_charset="ISO_IR 100")
    assert validate(source, target, other).holds


@pytest.mark.parametrize("age", ["090Y", "101Y", "089Y", "012M"])
def test_ages_over_89_become_090y(tmp_path: Path, research: Recipe, age: str) -> None:
    """The oldest are told from nobody."""
    dataset = make_instance()
    dataset.PatientAge = age
    assert faults(tmp_path, dataset, research) == []


@pytest.mark.parametrize(
    "dates", ["20200704\\20200705", "2020.07.04", "202007", "notadate", "", "00010101"]
)
def test_odd_dates(tmp_path: Path, research: Recipe, dates: str) -> None:
    """Several, dotted, partial, unreadable and too early ones."""
    dataset = make_instance()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.AcquisitionDate = dates.split("\\") if "\\" in dates else dates
        dataset.SeriesDate = dates.partition("\\")[0]
        assert faults(tmp_path, dataset, research) == []


@pytest.fixture
def quiet() -> Iterator[None]:
    """Let pydicom's opinion of odd files pass."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", ["basic", "research"])
@pytest.mark.usefixtures("quiet")
def test_the_files_that_pydicom_brings(
    tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    """Of what the engine lets out, nothing is held for a fault."""
    assert alarms(BUNDLED, tmp_path, request.getfixturevalue(name)) == {}


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["basic", "research"])
@pytest.mark.usefixtures("quiet")
def test_the_corpus(
    corpus: Path, tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    """The same over every file of the corpus."""
    assert alarms(corpus, tmp_path, request.getfixturevalue(name)) == {}


def alarms(folder: Path, scratch: Path, recipe: Recipe) -> dict[str, list[str]]:
    """Give the faults found in what the engine lets out of a folder's files."""
    found: dict[str, list[str]] = {}
    target = scratch / "target.dcm"
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        target.unlink(missing_ok=True)
        try:
            deidentify(path, target, recipe)
        except (Held, Quarantined):
            continue
        for finding in validate(path, target, recipe).findings:
            if finding.severity in FAULTS:
                found.setdefault(str(path.relative_to(folder)), []).append(str(finding))
    return found
