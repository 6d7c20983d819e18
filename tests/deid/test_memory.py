"""What is remembered of one sequence for the next: never a thing that is not the next one's."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.deid import plan
from node.profile.actions import Option
from tests.deid import kit
from tests.factories import make_instance

OPTIONS = (
    Option.CLEAN_DESCRIPTORS,
    Option.CLEAN_STRUCTURED_CONTENT,
    Option.RETAIN_SAFE_PRIVATE,
    Option.RETAIN_LONGITUDINAL_MODIFIED_DATES,
)


def code(meaning: str) -> Dataset:
    """Make a coded entry."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "99X", meaning
    return item


def reference(number: int, **also: object) -> Dataset:
    """Make a reference to an image."""
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    item.ReferencedSOPInstanceUID = f"1.2.3.{number}"
    for keyword, value in also.items():
        setattr(item, keyword, value)
    return item


def instance_of(patient: str, name: str, syntax: str, charset: str = "ISO_IR 100") -> Dataset:
    """Make an instance whose sequences repeat those of others: codes, references, dates, names."""
    dataset = make_instance(syntax=syntax)
    dataset.SpecificCharacterSet = charset
    dataset.PatientID, dataset.PatientName = patient, name
    dataset.ReferencedRealWorldValueMappingInstanceSequence = [
        reference(1, PurposeOfReferenceCodeSequence=[code("Localizer")]), reference(2),
    ]  # fmt: skip
    dataset.ReferencedInstanceSequence = [reference(1), reference(2)]
    dataset.AnatomicRegionSequence = [code("Chest")]
    request = Dataset()
    request.RequestedProcedureDescription = "CT chest Quillfeather Zebedee"
    request.ScheduledProcedureStepStartDate = "20200704"
    request.AccessionNumber = "ACC1"
    request.RequestedProcedureCodeSequence = [code("Chest")]
    dataset.RequestAttributesSequence = [request]
    frames = []
    for side in ("L", "R"):  # two that differ over one and the same that is the patient's own
        frame, anatomy, inner = Dataset(), Dataset(), Dataset()
        inner.RequestedProcedureDescription = "CT chest Quillfeather"
        inner.ScheduledProcedureStepStartDate = "20200704"
        anatomy.FrameLaterality, anatomy.RequestAttributesSequence = side, [inner]
        frame.FrameAnatomySequence = [anatomy]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    other = Dataset()
    other.PatientID = "SOMEBODY ELSE"
    other.PatientName = "Other^One"
    dataset.ReferencedPatientPhotoSequence = [other]
    return dataset


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_what_was_treated_before_changes_nothing(syntax: str, tmp_path: Path) -> None:
    """Instances of different patients, in any order, come out as if each were the first."""
    how = kit.recipe(tmp_path, *OPTIONS)
    datasets = [
        instance_of("MRN1", "Quillfeather^Zebedee", syntax),
        instance_of("MRN2", "Pettigrew^Ada", syntax),
        instance_of("MRN1", "Quillfeather^Zebedee", syntax, "ISO_IR 192"),
        instance_of("MRN2", "Chest^Localizer", syntax),
    ]
    alone = []
    for dataset in datasets:
        plan.plan_for.cache_clear()
        alone.append(kit.run(tmp_path, dataset, how).read_bytes())
    plan.plan_for.cache_clear()
    for _ in range(2):
        together = [kit.run(tmp_path, dataset, how).read_bytes() for dataset in datasets]
        assert together == alone
    assert [kit.run(tmp_path, each, how).read_bytes() for each in reversed(datasets)] == [
        *reversed(alone)
    ]


def test_the_same_bytes_in_another_character_set_are_another_text(tmp_path: Path) -> None:
    """A sequence is remembered with the set that it was read in, which items may declare."""
    dataset = make_instance()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName = "M\xfcller^Anna"
    texts = []
    for charset in ("ISO_IR 100", "ISO_IR 144"):
        item = Dataset()
        item.SpecificCharacterSet = charset
        inner = Dataset()
        # The same bytes: a name in one set, in the other Cyrillic that says nothing of anybody.
        inner.CodeMeaning = b"M\xfcller".decode("latin-1" if charset[-3:] == "100" else "iso8859_5")
        inner.CodeValue, inner.CodingSchemeDesignator = "1", "99X"
        item.AnatomicRegionModifierSequence = [inner]
        texts.append(item)
    for items in (texts, texts[::-1]):
        dataset.AnatomicRegionSequence = items
        output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
        meanings = {
            item.SpecificCharacterSet: item.AnatomicRegionModifierSequence[0].CodeMeaning
            for item in output.AnatomicRegionSequence
        }
        assert "ller" not in meanings["ISO_IR 100"]
        assert meanings["ISO_IR 144"].endswith("ller")


def test_a_broken_private_sequence_leaves_its_neighbours_as_they_are(tmp_path: Path) -> None:
    """What a sequence that is given up has declared does not hold for what follows."""
    dataset = make_instance()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    # One item in implicit VR: the set that it declares, and a text that is not in it.
    item = b"\x08\0\x05\0\x0a\0\0\0ISO_IR 192" + b"\x08\0\x3e\x10\x04\0\0\0\xfc\xfc\xfc "
    value = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    block = dataset.private_block(0x0129, "SIEMENS Ultrasound SC2000", create=True)
    block.add_new(0x06, "UN", value)
    dataset.StudyDescription = "Sch\xe4del CT"
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, *OPTIONS))
    assert output.StudyDescription == "Sch\xe4del CT"
    assert (0x0129, 0x1006) not in output
