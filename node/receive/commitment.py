"""Storage Commitment as SCP: what is asked for, and what of it we hold durably (PS3.4 Annex J).

The node is no archive: it commits to an instance as long as it holds the original, and says 0112H
(no such object instance) once that is purged. Off unless a peer's `commitment` is true.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset

from node import disk
from node.inbox.header import Unreadable, read_header
from node.inbox.header_values import is_uid
from node.inbox.layout import Inbox
from node.upper_layer import Status
from node.upper_layer.dataset import decode_dataset, encode_dataset

#: A longer request is refused; 30,000 references fit.
MAX_REQUEST_BYTES = 8 * 1024 * 1024

_COMPLETE, _FAILURES_EXIST = 1, 2  # PS3.4 Table J.3-2, event types


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance that a peer wants us to commit to."""

    sop_class: str
    sop_instance: str


@dataclass(frozen=True, slots=True)
class Request:
    """What an N-ACTION of a peer asks for."""

    transaction_uid: str
    references: tuple[Reference, ...]


@dataclass(slots=True)
class Outcome:
    """What we answer by N-EVENT-REPORT: what is held, and why something is not."""

    transaction_uid: str
    committed: list[Reference] = field(default_factory=list)
    failed: list[tuple[Reference, Status]] = field(default_factory=list)

    @property
    def event_type(self) -> int:
        """PS3.4 Table J.3-2."""
        return _FAILURES_EXIST if self.failed else _COMPLETE

    def encode(self, transfer_syntax: str) -> bytes:
        """Encode the Event Information (PS3.4 Table J.3-3)."""
        dataset = Dataset()
        dataset.TransactionUID = self.transaction_uid
        if self.committed:
            dataset.ReferencedSOPSequence = [_item(reference) for reference in self.committed]
        if self.failed:
            dataset.FailedSOPSequence = [
                _item(reference, reason) for reference, reason in self.failed
            ]
        return encode_dataset(dataset, transfer_syntax)


class NotARequest(Exception):  # noqa: N818 -- a fact about the message
    """The dataset is no Storage Commitment request; the text quotes nothing of it."""


def read_request(encoded: bytes, transfer_syntax: str) -> Request:
    """Decode the Action Information of an N-ACTION (PS3.4 Table J.3-1); NotARequest otherwise."""
    try:
        dataset = decode_dataset(encoded, transfer_syntax)
        references = tuple(
            Reference(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
            for item in dataset.ReferencedSOPSequence
        )
        request = Request(str(dataset.TransactionUID), references)
    except Exception:  # noqa: BLE001 -- whatever the reader stumbled on, it is no request
        raise NotARequest("the commitment request cannot be read") from None
    uids = [request.transaction_uid]
    for reference in references:
        uids += [reference.sop_class, reference.sop_instance]
    if not references or not all(map(is_uid, uids)):
        raise NotARequest("the commitment request names no instance, or one by no UID")
    return request


def settle(request: Request, inbox: Inbox) -> Outcome:
    """Look up which of the instances we hold, durably.

    Raises OSError where that cannot be told now.
    """
    outcome = Outcome(request.transaction_uid)
    wanted = {reference.sop_instance for reference in request.references}
    held = _held(wanted, inbox)
    for reference in request.references:
        sop_class = held.get(reference.sop_instance)
        if sop_class is None:
            outcome.failed.append((reference, Status.NO_SUCH_SOP_INSTANCE))
        elif sop_class != reference.sop_class:
            outcome.failed.append((reference, Status.CLASS_INSTANCE_CONFLICT))
        else:
            outcome.committed.append(reference)
    return outcome


def _held(wanted: set[str], inbox: Inbox) -> dict[str, str]:
    """Give the SOP class of each instance that lies on our disk.

    An instance on its way from `arrived` into the index is missed by neither look at the index.
    """
    held = _in_index(wanted, inbox)
    if held.keys() != wanted:
        held |= _in_arrived(wanted - held.keys(), inbox)
    if held.keys() != wanted:
        held |= _in_index(wanted - held.keys(), inbox)
    return held


def _in_index(wanted: set[str], inbox: Inbox) -> dict[str, str]:
    # Only a node that commits pays for the database's library in this role.
    from node.receive.index_lookup import instances_in_index  # noqa: PLC0415

    found = [row for row in instances_in_index(wanted, inbox) if row.path.is_file()]
    if found:
        # Adoption renames before it syncs, and may take what its association has not answered yet.
        for folder in {row.path.parent for row in found}:
            disk.fsync_dir(folder)
        disk.fsync_dir(inbox.studies)
    return {row.sop_instance: row.sop_class for row in found}


def _in_arrived(wanted: set[str], inbox: Inbox) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in _files(inbox.arrived):
        try:
            header = read_header(path)
        except (Unreadable, FileNotFoundError):
            continue  # not ours to judge, or adopted since we listed it
        if header.sop_instance_uid in wanted:
            found[header.sop_instance_uid] = header.sop_class_uid
    if found:
        # What another association is about to answer may have its name in memory only.
        disk.fsync_dir(inbox.arrived)
    return found


def _files(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.name.endswith(".dcm") and entry.is_file(follow_symlinks=False):
            yield Path(entry.path)


def _item(reference: Reference, reason: Status | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class
    item.ReferencedSOPInstanceUID = reference.sop_instance
    if reason is not None:
        item.FailureReason = int(reason)
    return item
