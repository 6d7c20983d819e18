"""A folder as destination: each file appears under its final name whole and fsynced, or not.

Names are DICOM File IDs (PS3.10 8.2, 8.5: at most eight characters of A-Z, 0-9 and _ each):
patient/study/series/instance, each the start of a base32 SHA-256 of what it stands for, so that a
DICOMDIR can be made over the folder as it is, and a second generation lands beside the first.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pydicom

from node import disk
from node.config import FolderDestination
from node.forward.batch import Answer, Batch, Ending, Item, Reaction, Report
from node.forward.source import FileAltered, Reader, Source

_NAME_LENGTH = 8
#: Names that two UIDs may share by chance: the second takes the next eight characters.
_NAMES_TRIED = 6
_WANTED = ["PatientID", "StudyInstanceUID", "SeriesInstanceUID"]


@dataclass(slots=True)
class _Tree:
    """The destination's folders, and which of them are known to be durable."""

    root: Path
    _durable: set[Path] = field(default_factory=set)

    def make(self, folder: Path) -> None:
        """Make a folder and what is missing above it, each name durable in its parent."""
        if folder in self._durable:
            return
        # What is above the root may be nobody's business of ours, unless we make it.
        if self.root in folder.parents or not folder.exists():
            self.make(folder.parent)
            folder.mkdir(exist_ok=True, mode=0o770)
            disk.fsync_dir(folder.parent)
        self._durable.add(folder)


def send(batch: Batch, report: Report, stopped: Callable[[], bool]) -> Ending:
    """Write each item's file into the folder; see node.forward.batch.Send."""
    destination = batch.destination
    assert isinstance(destination, FolderDestination)  # noqa: S101 -- SENDERS chose this function
    tree = _Tree(destination.path)
    reader = Reader()
    try:
        tree.make(tree.root)
        for item in batch.items:
            if stopped():
                break
            report.answered(_deliver(tree, reader, item, report))
    except OSError as error:
        # The disk is full, or the share is away: it may pass.
        return Ending(Reaction.RETRY, f"the folder cannot be written: {error.strerror}")
    return Ending()


def _deliver(tree: _Tree, reader: Reader, item: Item, report: Report) -> Answer:
    """Copy what was hashed under a hidden name; all else is read from that copy."""
    copy = tree.root / f".{item.sha256[:16]}.part"
    try:
        with reader.open(item) as source:
            report.begun(item)
            _copy(source, copy, report)
        folder = tree.root.joinpath(*_components(copy))
        tree.make(folder)
        return _place(folder, copy, item)
    except FileAltered as altered:
        return Answer(item.number, Reaction.REFUSE, str(altered))
    finally:
        copy.unlink(missing_ok=True)


def _copy(source: Source, copy: Path, report: Report) -> None:
    copy.unlink(missing_ok=True)  # what a crash left half written
    fd = disk.create_exclusive(copy, 0o640)
    with os.fdopen(fd, "wb") as file:
        for piece in source.pieces(0):
            file.write(piece)
            report.sent(len(piece))
        file.flush()
        disk.fsync(file.fileno())


def _components(copy: Path) -> tuple[str, str, str]:
    header = pydicom.dcmread(copy, stop_before_pixels=True, specific_tags=list(_WANTED))
    patient, study, series = (str(header.get(keyword, "")) for keyword in _WANTED)
    return _file_id(patient), _file_id(study), _file_id(series)


def _place(folder: Path, copy: Path, item: Item) -> Answer:
    """Put the copy under the first of its names that is free, or is already this file."""
    for attempt in range(_NAMES_TRIED):
        path = folder / _file_id(item.sop_instance_uid, attempt)
        if not path.exists():
            disk.rename_noreplace(copy, path)
            disk.fsync_dir(folder)
            return Answer(item.number, Reaction.STORED)
        if _digest(path) == item.sha256:
            disk.fsync_dir(folder)  # whoever renamed it may have been killed before this
            return Answer(item.number, Reaction.STORED)
        if _instance_uid(path) == item.sop_instance_uid:
            text = "the folder holds another version of this instance; it is never replaced"
            return Answer(item.number, Reaction.REFUSE, text)
    return Answer(item.number, Reaction.REFUSE, "every name for this instance is taken")


def _file_id(value: str, attempt: int = 0) -> str:
    name = base64.b32encode(hashlib.sha256(value.encode()).digest()).decode()
    start = attempt * _NAME_LENGTH
    return name[start : start + _NAME_LENGTH]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _instance_uid(path: Path) -> str:
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
    except (OSError, pydicom.errors.InvalidDicomError):
        return ""
    return str(header.get("SOPInstanceUID", ""))
