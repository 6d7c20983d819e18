"""Planted studies: identifiers in all places that MIDI-B looks at, beside what must stay."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset, FileDataset

from tests.factories import make_instance, write_instance


def planted_instance(patient: int, study: int, modality: str, instance: int) -> FileDataset:
    """Build an image with identifiers in names, descriptions, sequences and private blocks."""
    dataset = make_instance(patient, study, 1, instance, modality)
    surname = f"Quillfeather{patient}"
    dataset.InstitutionAddress = f"{patient} Larkspur Lane, Grimsborough"
    dataset.OperatorsName = "Ossifrage^Una"
    dataset.PatientAddress = f"{patient}7 Thistledown Road"
    dataset.PatientTelephoneNumbers = f"555-01{patient}{study}"
    dataset.OtherPatientNames = f"{surname}^Zeb"
    dataset.PatientComments = f"{surname} wishes a call on 20200711"
    dataset.AdditionalPatientHistory = "Referred by Dr. Thackenbury, seen at Grimsborough"
    dataset.StationName = "GRIMSCT7"
    dataset.DeviceSerialNumber = f"SN-88{study}1"
    dataset.SoftwareVersions = ["syngo 7", "VB20"]
    dataset.StudyDescription = f"CHEST ABDOMEN with contrast {surname}"
    dataset.SeriesDescription = "AX T2 FLAIR 3.0 mm"
    dataset.ProtocolName = "Thorax routine"
    dataset.PatientSize, dataset.PatientWeight = "1.71", "70.5"
    dataset.EthnicGroup = "Martian"
    dataset.AcquisitionDateTime = f"202007{study:02d}101112.250000"
    dataset.DateOfLastCalibration = ["20200101", "20200601"]
    dataset.AdmissionID = f"ADM-{patient}{study}"
    dataset.RequestAttributesSequence = [_request(patient, study)]
    dataset.ReferencedStudySequence = [_reference(dataset)]
    dataset.OriginalAttributesSequence = [_original(dataset)]
    block = dataset.private_block(0x0019, "GEMS_ACQU_01", create=True)
    block.add_new(0x24, "DS", "3.5")
    block = dataset.private_block(0x0029, "ACME HEADER", create=True)
    block.add_new(0x01, "LO", f"{surname} at Grimsborough")
    return dataset


def write_studies(folder: Path) -> list[Path]:
    """Write two patients with two studies each, of a CT and an MR, two instances each."""
    return [
        write_instance(
            folder / f"{patient}-{study}-{modality}-{number}.dcm",
            planted_instance(patient, study, modality, number + (10 if modality == "MR" else 0)),
        )
        for patient in (1, 2)
        for study in (1, 2)
        for modality in ("CT", "MR")
        for number in (1, 2)
    ]


def _request(patient: int, study: int) -> Dataset:
    item = Dataset()
    item.RequestedProcedureID = f"RP{patient}{study}99"
    item.RequestedProcedureDescription = f"Chest for Quillfeather{patient}"
    item.ScheduledProcedureStepDescription = "Abdomen pelvis"
    return item


def _reference(dataset: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    item.ReferencedSOPInstanceUID = dataset.StudyInstanceUID
    return item


def _original(dataset: Dataset) -> Dataset:
    before = Dataset()
    before.PatientName = dataset.PatientName
    before.PatientID = dataset.PatientID
    item = Dataset()
    item.ModifiedAttributesSequence = [before]
    item.AttributeModificationDateTime = "20200712101112"
    item.ModifyingSystem = "GRIMSPACS"
    item.SourceOfPreviousValues = "Grimsborough"
    item.ReasonForTheAttributeModification = "COERCE"
    return item
