"""An engine and a validator that do what the instance's Series Description tells them.

For tests of what `process` makes of their answers. `quarantine`, `hold`, `leak`, `exclude`, `fail`,
`full disk` and `no memory` are answers; anything else is de-identified by remapping three UIDs.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from pathlib import Path

import pydicom

from node.deid import Deidentified, Held, Quarantined
from node.process.messages import Deidentify, Done
from node.process.worker import treat_all
from node.profile.recipe import Recipe
from node.validate import Finding, InstanceFacts, Severity, Verdict


def deidentify(source: Path, target: Path, recipe: Recipe) -> Deidentified:
    """Write the source with new UIDs."""
    del recipe
    dataset = pydicom.dcmread(source)
    match dataset.SeriesDescription:
        case "quarantine":
            raise Quarantined("it says so")
        case "hold":
            raise Held("a person must look")
        case "fail":
            raise ZeroDivisionError(str(dataset.PatientName))
        case "full disk":
            raise OSError(errno.ENOSPC, "No space left on device")
        case "no memory":
            raise MemoryError
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(dataset, keyword, new_uid(str(dataset[keyword].value)))
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.PatientID = dataset.PatientName = "P" + new_uid(dataset.PatientID)[-10:]
    if target.exists():
        raise FileExistsError(target)
    dataset.save_as(target, enforce_file_format=True)
    return Deidentified(
        sop_class_uid=dataset.SOPClassUID,
        sop_instance_uid=dataset.SOPInstanceUID,
        study_instance_uid=dataset.StudyInstanceUID,
        series_instance_uid=dataset.SeriesInstanceUID,
        patient_id=dataset.PatientID,
        transfer_syntax_uid=dataset.file_meta.TransferSyntaxUID,
        bytes=target.stat().st_size,
    )


def validate(source: Path, output: Path, recipe: Recipe) -> Verdict:
    """Read the output back and find what the Series Description names."""
    del source, recipe
    content = output.read_bytes()
    dataset = pydicom.dcmread(output)
    severity = {"leak": Severity.LEAK, "exclude": Severity.EXCLUDE, "look": Severity.HOLD}.get(
        dataset.SeriesDescription
    )
    findings = (Finding("scripted", severity, "(0008,103E)", "it says so"),) if severity else ()
    facts = InstanceFacts(
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        study_instance_uid=str(dataset.StudyInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        patient_id=str(dataset.PatientID),
        patient_name=str(dataset.PatientName),
        modality=str(dataset.Modality),
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
    )
    return Verdict(findings, hashlib.sha256(content).hexdigest(), len(content), facts)


def new_uid(uid: str) -> str:
    """Give the scripted image of a UID."""
    return f"2.25.{int(hashlib.sha256(uid.encode()).hexdigest()[:30], 16)}"


def deaths(
    deadly: set[str], death: BaseException | None = None
) -> Callable[[tuple[Deidentify, ...]], tuple[Done, ...]]:
    """Make a `treat_all` whose worker dies of certain instances."""

    def treat_or_die(messages: tuple[Deidentify, ...]) -> tuple[Done, ...]:
        if deadly & {file.instance for message in messages for file in message.files}:
            raise death or SystemExit(9)
        return treat_all(messages)

    return treat_or_die
