"""What was proven once: it counts for the same bytes on the same grounds, and for nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import ImplicitVRLittleEndian

from node.deid import deidentify
from node.profile.recipe import Recipe
from node.validate import Finding, Severity, instance, validate
from node.validate.coding import EXPLICIT, IMPLICIT
from node.validate.dataset import _read_items
from tests.factories import make_instance, write_instance
from tests.validate.conftest import KEY
from tests.validate.mutants import all_mutants
from tests.validate.rich import rich_image, rich_report
from tests.validate.test_honest import profile
from tests.validate.test_mutation import Bench


def forget() -> None:
    """Have every attribute judged again."""
    instance._MEMORY.proven.clear()


def prove(folder: Path, dataset: FileDataset, recipe: Recipe) -> tuple[Finding, ...]:
    """De-identify with the whole engine and give what the validator finds."""
    source, target = write_instance(folder / "source.dcm", dataset), folder / "target.dcm"
    target.unlink(missing_ok=True)
    deidentify(source, target, recipe)
    return validate(source, target, recipe).findings


def remembered() -> int:
    """Give how many attributes are remembered."""
    return sum(map(len, instance._MEMORY.proven.values()))


def test_a_series_is_judged_once(tmp_path: Path, basic: Recipe) -> None:
    """The second instance adds only what is its own."""
    forget()
    prove(tmp_path, make_instance(instance=1), basic)
    first = remembered()
    prove(tmp_path, make_instance(instance=2), basic)
    assert first > 10
    assert remembered() - first < 6


def test_nothing_is_found_otherwise_with_a_memory(
    tmp_path: Path, basic: Recipe, research: Recipe
) -> None:
    """Of every broken engine the same is found, whether or not its honest parts are known."""
    bench = Bench(tmp_path, basic, research)
    for mutant in all_mutants(basic.profile, research.profile):
        warm = bench.run(mutant).findings
        forget()
        assert bench.run(mutant).findings == warm, mutant.name


def test_what_is_innocent_with_one_patient_is_not_with_another(
    tmp_path: Path, basic: Recipe
) -> None:
    """A kept value is searched again for every patient's own words."""
    recipe = Recipe(basic.profile, KEY)
    first, second = make_instance(instance=1), make_instance(instance=2)
    for dataset in (first, second):
        dataset.BodyPartExamined = "NECK"
    first.PatientName, second.PatientName = "Doe^Jane", "Neck^Anna"
    assert not prove(tmp_path, first, recipe)
    assert any(finding.severity is Severity.HOLD for finding in prove(tmp_path, second, recipe))


def test_what_is_remembered_of_sequences_is_what_their_bytes_say(
    tmp_path: Path, research: Recipe
) -> None:
    """Files share it, and nothing that is done with one of them changes it for the next."""
    for dataset in (rich_image(), rich_report(), rich_image(ImplicitVRLittleEndian)) * 2:
        prove(tmp_path, dataset, research)
    for coding in (EXPLICIT, IMPLICIT):
        anew = replace(coding, plain={}, sequences={})
        assert coding.sequences
        for (data, start, depth), items in coding.sequences.items():
            file = bytes(start) + data
            read, _ = _read_items(file, start, len(data), len(file), anew, depth, [])
            assert read == items


@pytest.mark.parametrize("uid", ["1.2.826.0.1.3680043.9.7777.77.1", "1.2.3"])
def test_a_uid_of_the_next_instance_is_found(tmp_path: Path, uid: str) -> None:
    """A value that says another instance's UID is known, until that instance comes."""
    recipe = profile(tmp_path, '[rules]\nIrradiationEventUID = "keep"\n')
    first, second = make_instance(instance=1), make_instance(instance=2)
    for dataset in (first, second):
        dataset.IrradiationEventUID = uid
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = uid
    forget()
    assert not any(one.severity is Severity.LEAK for one in prove(tmp_path, first, recipe))
    assert any(one.severity is Severity.LEAK for one in prove(tmp_path, second, recipe))
