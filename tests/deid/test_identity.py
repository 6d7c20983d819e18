"""Who the patient is, and what stands for them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node.deid import Held, NotAccepted, Quarantined, deidentify, pseudonyms
from tests.deid import kit
from tests.factories import identifiers, make_instance, patient_id, write_instance

SUBKEYS = pseudonyms.derive_subkeys(kit.KEY, "tests")


def code_of(issuer: str, patient: str) -> str:
    """Give the Patient ID that docs/pseudonyms.md asks for."""
    identity = pseudonyms.identity_of(issuer, patient)
    return "P" + pseudonyms.patient_code(SUBKEYS, identity)


def test_patient_id_and_name_are_the_same_pseudonym(tmp_path: Path) -> None:
    """docs/pseudonyms.md, "Patient ID and Patient's Name"; the report says the same."""
    dataset = make_instance()
    source = write_instance(tmp_path / "a.dcm", dataset)
    report = deidentify(source, tmp_path / "b.dcm", kit.recipe(tmp_path))
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert output.PatientID == output.PatientName == code_of("", patient_id(1))
    assert report.patient_id == output.PatientID
    assert report.sop_instance_uid == output.SOPInstanceUID
    assert report.study_instance_uid == output.StudyInstanceUID
    assert report.series_instance_uid == output.SeriesInstanceUID
    assert report.sop_class_uid == output.SOPClassUID
    assert report.bytes == (tmp_path / "b.dcm").stat().st_size
    assert output.file_meta.MediaStorageSOPInstanceUID == output.SOPInstanceUID
    assert not any(text in str(report) for text in identifiers())


def test_the_issuer_makes_another_patient(tmp_path: Path) -> None:
    """The data set's issuer, else the route's; the output names neither."""
    dataset = make_instance()
    by_route = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, default_issuer="B"))
    assert by_route.PatientID == code_of("B", patient_id(1))
    dataset.IssuerOfPatientID = "A"
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, default_issuer="B"))
    assert output.PatientID == code_of("A", patient_id(1))
    assert "IssuerOfPatientID" not in output


@pytest.mark.parametrize("text", ["", "  ", None])
def test_an_instance_of_nobody_holds_its_study(text: str | None, tmp_path: Path) -> None:
    """Without a Patient ID nobody can tell whose instance it is."""
    dataset = make_instance()
    if text is None:
        del dataset.PatientID
    else:
        dataset.PatientID = text
    with pytest.raises(Held):
        kit.run(tmp_path, dataset, kit.recipe(tmp_path))
    assert not (tmp_path / "target.dcm").exists()


def test_a_patient_id_within_an_item_is_its_own_patients(tmp_path: Path) -> None:
    """Two patients stay two, also where one is named in an item of the other's instance."""
    dataset = make_instance()
    same, other, elsewhere = Dataset(), Dataset(), Dataset()
    same.PatientID, other.PatientID, elsewhere.PatientID = patient_id(1), "OTHER7", "OTHER7"
    elsewhere.IssuerOfPatientID = "ELSEWHERE"
    dataset.GroupOfPatientsIdentificationSequence = [same, other, elsewhere]
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    items = output.GroupOfPatientsIdentificationSequence
    assert [item.PatientID for item in items] == [
        output.PatientID, code_of("", "OTHER7"), code_of("ELSEWHERE", "OTHER7"),
    ]  # fmt: skip


def test_accession_number_and_study_id_are_codes_of_the_patients(tmp_path: Path) -> None:
    """The same order gives the same code, another patient's another one; empty stays empty."""
    first = kit.outcome(tmp_path, make_instance(1, 1), kit.recipe(tmp_path))
    again = kit.outcome(tmp_path, make_instance(1, 1, instance=2), kit.recipe(tmp_path))
    dataset = make_instance(2, 1)
    dataset.AccessionNumber, dataset.StudyID = "ACC1177", ""
    other = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert first.AccessionNumber == again.AccessionNumber != other.AccessionNumber
    assert first.AccessionNumber[0] == "A"
    assert first.StudyID[0] == "S"
    assert other.StudyID == ""


def test_references_resolve_after_remapping(tmp_path: Path) -> None:
    """A reference names the new UID of what it named, at any depth; well-known UIDs stay."""
    image = make_instance(instance=1)
    dataset = make_instance(instance=2)
    item, series = Dataset(), Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    series.SeriesInstanceUID = image.SeriesInstanceUID
    series.ReferencedInstanceSequence = [item]
    dataset.ReferencedSeriesSequence = [series]
    dataset.FrameOfReferenceUID = "1.2.840.10008.1.4.1.1"
    dataset.IrradiationEventUID = [image.SOPInstanceUID, image.StudyInstanceUID]
    new_image = kit.outcome(tmp_path, image, kit.recipe(tmp_path))
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    reference = output.ReferencedSeriesSequence[0]
    assert reference.SeriesInstanceUID == new_image.SeriesInstanceUID
    assert reference.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == (
        new_image.SOPInstanceUID
    )
    assert reference.ReferencedInstanceSequence[0].ReferencedSOPClassUID == image.SOPClassUID
    assert output.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"
    assert output.IrradiationEventUID == [new_image.SOPInstanceUID, new_image.StudyInstanceUID]


def test_references_of_a_segmentation_stay_where_their_type_lets_them(tmp_path: Path) -> None:
    """X/Z/U*: Source Image Sequence is Type 2 there, so its images are known."""
    image = make_instance(instance=1)
    dataset = make_instance(instance=2)
    segmentation = "1.2.840.10008.5.1.4.1.1.66.4"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = segmentation
    source, derivation, frame = Dataset(), Dataset(), Dataset()
    source.ReferencedSOPClassUID = image.SOPClassUID
    source.ReferencedSOPInstanceUID = image.SOPInstanceUID
    derivation.SourceImageSequence = [source]
    frame.DerivationImageSequence = [derivation]
    dataset.PerFrameFunctionalGroupsSequence = [frame]
    dataset.ReferencedImageSequence = [source]
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    frame = output.PerFrameFunctionalGroupsSequence[0]
    (reference,) = frame.DerivationImageSequence[0].SourceImageSequence
    new = kit.outcome(tmp_path, image, kit.recipe(tmp_path))
    assert reference.ReferencedSOPInstanceUID == new.SOPInstanceUID
    assert "ReferencedImageSequence" not in output


def test_a_lookup_gives_the_pseudonym_and_a_missing_patient_is_held(tmp_path: Path) -> None:
    """The file is read again when it changes, so that a row which is added ends the hold."""
    lookup = tmp_path / "lookup.csv"
    lookup.write_text("patient_id,issuer,pseudonym\nSOMEONE,,TRIAL-1\n")
    how = kit.recipe(tmp_path, pseudonyms='lookup = "lookup.csv"')
    with pytest.raises(Held):
        kit.run(tmp_path, make_instance(), how)
    lookup.write_text(f"patient_id,issuer,pseudonym\nSOMEONE,,TRIAL-1\n{patient_id(1)},,TRIAL-2\n")
    os.utime(lookup, (1, 1))
    output = kit.outcome(tmp_path, make_instance(), how)
    assert output.PatientID == output.PatientName == "TRIAL-2"


@pytest.mark.parametrize(
    "content",
    [
        "id,pseudonym\n1,2\n",
        "patient_id,issuer,pseudonym\nMRN000001,,P1\nMRN000002,,P1\n",
        "patient_id,issuer,pseudonym\nMRN000001,,P1\nMRN000001,,P2\n",
        "patient_id,issuer,pseudonym\nMRN000001,,\n",
        "patient_id,issuer,pseudonym\nMRN000001,,A\\B\n",
        "patient_id,issuer,pseudonym\nMRN000001,,\xe9\n",
    ],
)
def test_a_lookup_that_cannot_be_right_holds(content: str, tmp_path: Path) -> None:
    """One pseudonym for two patients would merge them: nothing goes out until somebody looks."""
    (tmp_path / "lookup.csv").write_text(content)
    with pytest.raises(Held) as held:
        kit.run(tmp_path, make_instance(), kit.recipe(tmp_path, pseudonyms='lookup="lookup.csv"'))
    assert "MRN" not in held.value.reason


@pytest.mark.parametrize(
    ("age", "kept"), [("089Y", "089Y"), ("090Y", "090Y"), ("104Y", "090Y"), ("011M", "011M"),
                      ("old", None)]
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Invalid value for VR AS")
def test_an_age_over_89_becomes_90(age: str, kept: str | None, tmp_path: Path) -> None:
    """45 CFR 164.514(b)(2)(i)(C); and what is no age goes."""
    dataset = make_instance()
    dataset.PatientAge = age
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, "retain-patient-characteristics"))
    assert output.get("PatientAge") == kept
    assert not output.PatientBirthDate


def test_a_birth_date_that_the_site_shifts_goes_with_an_age_over_89(tmp_path: Path) -> None:
    """It would tell the age; that of anybody else moves like every date."""
    how = kit.recipe(tmp_path, kit.MODIFIED, rules='PatientBirthDate = "shift"')
    dataset = make_instance()
    assert kit.outcome(tmp_path, dataset, how).PatientBirthDate < "19470319"
    dataset.PatientAge = "095Y"
    assert kit.outcome(tmp_path, dataset, how).PatientBirthDate == ""


def test_without_uids_or_of_an_unknown_class_it_is_quarantined(tmp_path: Path) -> None:
    """What is no instance, or of a class that nobody named, is not treated as one that we know."""
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        dataset = make_instance()
        setattr(dataset, keyword, "")
        with pytest.raises(Quarantined):
            kit.run(tmp_path, dataset, kit.recipe(tmp_path))
    dataset = make_instance()
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.3.4"
    with pytest.raises(NotAccepted):
        kit.run(tmp_path, dataset, kit.recipe(tmp_path))
    accept = '[accept]\nsop_classes = ["*", "1.2.3.4"]'
    assert (
        kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, more=accept)).SOPClassUID == "1.2.3.4"
    )


def test_a_target_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """Two inputs never become one output."""
    source = write_instance(tmp_path / "a.dcm", make_instance())
    (tmp_path / "b.dcm").write_text("precious")
    with pytest.raises(FileExistsError):
        deidentify(source, tmp_path / "b.dcm", kit.recipe(tmp_path))
    assert (tmp_path / "b.dcm").read_text() == "precious"


def test_nothing_is_left_of_a_file_that_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk leaves no half of an instance behind."""

    def full(*_arguments: object) -> int:
        raise OSError(28, "No space left on device")

    source = write_instance(tmp_path / "a.dcm", make_instance())
    monkeypatch.setattr("os.write", full)
    with pytest.raises(OSError, match="No space"):
        deidentify(source, tmp_path / "b.dcm", kit.recipe(tmp_path))
    assert not (tmp_path / "b.dcm").exists()


@pytest.mark.parametrize("at", [100, 70_000, (1 << 20) - 6, (2 << 20) - 100])
def test_a_name_in_a_large_value_that_would_be_kept_is_found(at: int, tmp_path: Path) -> None:
    """However far behind the window that was read, and across the pieces that it is read by."""
    dataset = make_instance()
    name = b"Quillfeather1"
    profile = bytes(at) + name + bytes((2 << 20) - at)
    dataset.add_new(0x00282000, "OB", profile + bytes(len(profile) % 2))
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert name not in (tmp_path / "target.dcm").read_bytes()
    assert output.PixelData == dataset.PixelData
    dataset[0x00282000].value = bytes(3 << 20)
    assert kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))[0x00282000].value == bytes(3 << 20)
