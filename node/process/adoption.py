"""Adoption: durable files get their rows and move to their study. It is recovery, too.

Rows first, in one transaction per batch, then the renames: a crash between the two leaves a file
in `arrived/` whose row is there already, and the next pass only renames it. Nothing is ever
overwritten, and nothing here asks how the last run ended.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import bindparam, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from node import disk
from node.inbox.header import HeaderReader, Unreadable
from node.inbox.tables import association, instance
from node.process.arrived import Arrived, random_id
from node.process.joining import StudiesOfBatch
from node.process.workplace import Transaction, Workplace

BATCH = 500
#: So many letters has the id of an association, as receive makes it.
_ASSOCIATION_LETTERS = 10
_KNOWN = select(instance.c.id, instance.c.study).where(
    instance.c.id.in_(bindparam("names", expanding=True))
)
_INSERT = insert(instance)
_NOTE = upsert(association)
_NOTE = _NOTE.on_conflict_do_update(
    index_elements=["id"],
    set_={"study": _NOTE.excluded.study, "number": _NOTE.excluded.number},
    where=association.c.number < _NOTE.excluded.number,
)
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Adopted:
    """How many files a batch had (BATCH: there may be more), and the rows that are new."""

    files: int = 0
    rows: Sequence[dict[str, Any]] = ()


def adopt(place: Workplace, since: float) -> Adopted:
    """Adopt a batch of arrived files.

    `since` is the steady time of the pass before: nothing here arrived earlier than that, whatever
    the clocks say.
    """
    arrived = place.inbox.arrived
    names = _arrived_names(arrived)
    if not names:
        return Adopted()
    with place.transaction() as transaction:
        known = _known_studies(transaction, names)
        headers = HeaderReader()
        fresh = [_look_at(arrived / f"{name}.dcm", headers) for name in names if name not in known]
        rows = _write_rows(place, transaction, fresh, since)
        if fresh:
            size = sum(one.bytes for one in fresh)
            transaction.log("instances_adopted", instances=len(fresh), bytes=size)
    _move_files(place, known | {row["id"]: row["study"] for row in rows})
    return Adopted(len(names), rows)


def _arrived_names(arrived: Path) -> list[str]:
    with os.scandir(arrived) as entries:
        found = islice((entry.name for entry in entries if _is_instance(entry.name)), BATCH)
        return sorted(name.removesuffix(".dcm") for name in found)


def _is_instance(name: str) -> bool:
    return name.endswith(".dcm") and not name.startswith(".")


def _known_studies(transaction: Transaction, names: Sequence[str]) -> dict[str, str]:
    """Give the study of each file that has its row already: a run ended before it was moved."""
    return dict(transaction.conn.execute(_KNOWN, {"names": names}).all())


def _look_at(path: Path, headers: HeaderReader) -> Arrived:
    facts = path.lstat()
    try:
        header = headers.read(path)
    except Unreadable:
        header = None
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        header = None  # the disk lost it after it was acknowledged: a person must know
    return Arrived(path.stem, path, facts.st_size, facts.st_mtime, header)


def _write_rows(
    place: Workplace, transaction: Transaction, fresh: Sequence[Arrived], since: float
) -> list[dict[str, Any]]:
    """Insert the rows of a batch."""
    studies = StudiesOfBatch(place, transaction, fresh, since)
    rows = [studies.row_of(one) for one in fresh]
    if rows:
        transaction.conn.execute(_INSERT, rows)
    studies.write_arrivals()
    _note_associations(transaction, fresh, rows)
    return rows


def _note_associations(
    transaction: Transaction, fresh: Sequence[Arrived], rows: Sequence[dict[str, Any]]
) -> None:
    latest: dict[str, tuple[int, str]] = {}
    for one, row in zip(fresh, rows, strict=True):
        latest[one.association] = max(
            latest.get(one.association, (-1, "")), (one.number, row["study"])
        )
    notes = [
        {"id": association_id, "study": study_id, "number": number}
        for association_id, (number, study_id) in latest.items()
    ]
    if notes:
        transaction.conn.execute(_NOTE, notes)


def _move_files(place: Workplace, studies: dict[str, str]) -> None:
    """Move files to their study; both names' folders are synced, the new one first."""
    arrived = place.inbox.arrived
    folders = {study_id: place.inbox.studies / study_id for study_id in studies.values()}
    for folder in folders.values():
        folder.mkdir(mode=0o770, exist_ok=True)
    for name, study_id in studies.items():
        _move(arrived / f"{name}.dcm", folders[study_id] / f"{name}.dcm")
    for folder in folders.values():
        disk.fsync_dir(folder)
    disk.fsync_dir(place.inbox.studies)
    disk.fsync_dir(place.inbox.arrived)


def _move(source: Path, target: Path) -> None:
    try:
        disk.rename_noreplace(source, target)
    except FileExistsError:
        # A filesystem without the flag links, then unlinks: a crash in between leaves both names.
        if source.samefile(target):
            source.unlink()
            return
        # Two files of one name of ours: somebody copied. Nothing is overwritten, nothing stops:
        # under a name of its own it is the next pass's, like any other arrival.
        fresh = f"{random_id(_ASSOCIATION_LETTERS)}-000001"
        disk.rename_noreplace(source, source.with_name(f"{fresh}.dcm"))
        reason = f"its name is taken: it is {fresh} now"
        log.warning("storage_failed", instance=source.stem, reason=reason)
