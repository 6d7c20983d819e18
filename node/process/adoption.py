"""Adoption: durable files get their rows and move to their study. It is recovery, too.

Rows first, in one transaction per batch, then the renames: a crash between the two leaves a file
in `arrived/` whose row is there already, and the next pass only renames it. Nothing is ever
overwritten, and nothing here asks how the last run ended.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import insert, select, tuple_, update
from sqlalchemy.dialects.sqlite import insert as upsert

from node import disk
from node.inbox.header import Header, Unreadable, read_header
from node.inbox.originals import dataset_digest, original
from node.inbox.states import InstanceState, StudyState, move_study
from node.inbox.tables import association, generation, instance, study
from node.process.workplace import Transaction, Workplace

BATCH = 500
_STUDY_ID_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file in `arrived/` and what its header says; no header where it says nothing."""

    instance: str
    path: Path
    bytes: int
    arrived_at: float
    header: Header | None

    @property
    def association(self) -> str:
        """The association that it came by."""
        return self.instance.rpartition("-")[0]

    @property
    def number(self) -> int:
        """Its number in its association."""
        digits = self.instance.rpartition("-")[2]
        return int(digits) if digits.isdecimal() else 0


def adopt(place: Workplace, since: float) -> int:
    """Adopt a batch of arrived files and return how many it was (BATCH: there may be more).

    `since` is the steady time of the pass before: nothing here arrived earlier than that, whatever
    the clocks say.
    """
    names = _arrived_names(place.inbox.arrived)
    if not names:
        return 0
    with place.transaction() as transaction:
        known = _known_studies(transaction, names)
        fresh = [
            _look_at(place.inbox.arrived / f"{name}.dcm") for name in names if name not in known
        ]
        known |= _write_rows(place, transaction, fresh, since)
        if fresh:
            size = sum(one.bytes for one in fresh)
            transaction.log("instances_adopted", instances=len(fresh), bytes=size)
    _move_files(place, known)
    return len(names)


def arrived_count(arrived: Path) -> int:
    """Count the durable files that have no row yet, or have one and wait to be moved."""
    with os.scandir(arrived) as entries:
        return sum(1 for entry in entries if _is_instance(entry.name))


def _arrived_names(arrived: Path) -> list[str]:
    with os.scandir(arrived) as entries:
        found = islice((entry.name for entry in entries if _is_instance(entry.name)), BATCH)
        return sorted(name.removesuffix(".dcm") for name in found)


def _is_instance(name: str) -> bool:
    return name.endswith(".dcm") and not name.startswith(".")


def _known_studies(transaction: Transaction, names: Sequence[str]) -> dict[str, str]:
    """Give the study of each file that has its row already: a run ended before it was moved."""
    query = select(instance.c.id, instance.c.study).where(instance.c.id.in_(names))
    return {row.id: row.study for row in transaction.conn.execute(query)}


def _look_at(path: Path) -> Arrived:
    facts = path.lstat()
    try:
        header = read_header(path)
    except Unreadable:
        header = None
    return Arrived(path.stem, path, facts.st_size, facts.st_mtime, header)


def _write_rows(
    place: Workplace, transaction: Transaction, fresh: Sequence[Arrived], since: float
) -> dict[str, str]:
    """Insert the rows of a batch and give the study of each instance."""
    studies = _StudiesOfBatch(place, transaction, fresh, since)
    rows: list[dict[str, Any]] = []
    for one in fresh:
        row = studies.row_of(one)
        rows.append(row)
    if rows:
        transaction.conn.execute(insert(instance), rows)
    studies.write_arrivals()
    _note_associations(transaction, fresh, rows)
    return {row["id"]: row["study"] for row in rows}


class _StudiesOfBatch:
    """The studies that a batch of arrivals belongs to, looked up at once and opened as needed."""

    def __init__(
        self, place: Workplace, transaction: Transaction, fresh: Sequence[Arrived], since: float
    ) -> None:
        self._place = place
        self._tx = transaction
        self._since = since
        self._studies = self._known(one.header for one in fresh if one.header)
        self._twins = self._known_twins(one.header for one in fresh if one.header)
        self._series = self._known_series(one.header for one in fresh if one.header)
        self._paths: dict[str, Path] = {}
        self._arrivals: dict[str, tuple[float, float]] = {}

    def row_of(self, one: Arrived) -> dict[str, Any]:
        """Make the row of one arrival, and move its study if it must."""
        if one.header is None:
            return self._unreadable_row(one)
        header = one.header
        study_id, state = self._study_of(one, header)
        series_digest = self._place.digests.of(header.series_instance_uid)
        sop_digest = self._place.digests.of(header.sop_instance_uid)
        row = self._row(one, study_id, header, series_digest, sop_digest)
        self._paths[one.instance] = one.path
        self._judge(row, state)
        if row["state"] != InstanceState.REJECTED:
            self._twins.setdefault((study_id, sop_digest), []).append(row)
        if row["state"] == InstanceState.RECEIVED and state == StudyState.RELEASED:
            self._reopen(study_id, header)
        self._note_arrival(study_id, one.arrived_at)
        return row

    def write_arrivals(self) -> None:
        """Write when each study of the batch last got an instance."""
        for study_id, (_first, last) in self._arrivals.items():
            self._tx.conn.execute(
                update(study)
                .where(study.c.id == study_id, study.c.last_arrival_steady < last)
                .values(last_arrival_steady=last)
            )

    def _known(self, headers: Iterable[Header]) -> dict[str, tuple[str, StudyState]]:
        digests = {self._place.digests.of(header.study_instance_uid) for header in headers}
        query = select(study.c.uid_digest, study.c.id, study.c.state)
        found = self._tx.conn.execute(query.where(study.c.uid_digest.in_(digests)))
        return {digest: (study_id, StudyState(state)) for digest, study_id, state in found}

    def _known_twins(self, headers: Iterable[Header]) -> dict[tuple[str, str], list[Any]]:
        """Give the instances that are there already, by study and SOP Instance UID."""
        keys = set()
        for header in headers:
            found = self._studies.get(self._place.digests.of(header.study_instance_uid))
            if found:
                keys.add((found[0], self._place.digests.of(header.sop_instance_uid)))
        twins: dict[tuple[str, str], list[Any]] = {}
        if keys:
            columns = instance.c
            query = (
                select(instance, generation.c.purged_at.label("release_purged_at"))
                .join_from(
                    instance,
                    generation,
                    (generation.c.study == columns.study)
                    & (generation.c.number == columns.generation),
                    isouter=True,
                )
                .where(tuple_(columns.study, columns.sop_digest).in_(keys))
                .where(columns.state.not_in((InstanceState.DUPLICATE, InstanceState.REJECTED)))
                .order_by(columns.arrived_at, columns.id)
            )
            for row in self._tx.conn.execute(query).mappings():
                twins.setdefault((row["study"], row["sop_digest"]), []).append(row)
        return twins

    def _known_series(self, headers: Iterable[Header]) -> dict[str, dict[str, int]]:
        """Give our number of each series, by study and digest."""
        keys = set()
        for header in headers:
            found = self._studies.get(self._place.digests.of(header.study_instance_uid))
            if found:
                keys.add((found[0], self._place.digests.of(header.series_instance_uid)))
        known: dict[str, dict[str, int]] = {}
        columns = instance.c
        query = (
            select(columns.study, columns.series_digest, columns.series)
            .where(tuple_(columns.study, columns.series_digest).in_(keys))
            .distinct()
        )
        for study_id, digest, number in self._tx.conn.execute(query):
            known.setdefault(study_id, {})[digest] = number
        return known

    def _series_number(self, study_id: str, digest: str) -> int:
        numbers = self._series.setdefault(study_id, {})
        if digest not in numbers:
            count = update(study).where(study.c.id == study_id).values(series=study.c.series + 1)
            numbers[digest] = self._tx.conn.execute(count.returning(study.c.series)).scalar_one()
        return numbers[digest]

    def _study_of(self, one: Arrived, header: Header) -> tuple[str, StudyState]:
        digest = self._place.digests.of(header.study_instance_uid)
        known = self._studies.get(digest)
        if known is None:
            study_id = self._open_study(
                one, header, digest, header.study_instance_uid, StudyState.RECEIVING
            )
            known = self._studies[digest] = (study_id, StudyState.RECEIVING)
        return known

    def _open_study(
        self,
        one: Arrived,
        header: Header | None,
        digest: str | None,
        uid: str | None,
        state: StudyState,
    ) -> str:
        study_id = "".join(secrets.choice(_STUDY_ID_LETTERS) for _ in range(8))
        arrived = self._steady(one.arrived_at)
        self._tx.conn.execute(
            insert(study).values(
                id=study_id,
                state=state,
                state_since=self._tx.now,
                uid_digest=digest,
                study_instance_uid=uid,
                opened_at=self._tx.wall,
                first_arrival_steady=arrived,
                last_arrival_steady=arrived,
                called_ae_title=header.called_ae_title if header else "",
                calling_ae_title=header.calling_ae_title if header else "",
                modality=header.modality if header else "",
            )
        )
        self._tx.tell("study_opened", study_id, modality=header.modality if header else "")
        return study_id

    def _unreadable_row(self, one: Arrived) -> dict[str, Any]:
        """Give a file without a readable header a study of its own: only a person can say more."""
        study_id = self._open_study(one, None, None, None, StudyState.HELD)
        reason = "the header cannot be read"
        self._tx.conn.execute(update(study).where(study.c.id == study_id).values(reason=reason))
        self._tx.tell("study_held", study_id, reason=reason)
        self._tx.tell("instance_quarantined", study_id, instance=one.instance, reason=reason)
        row = self._row(one, study_id, None, "", "")
        return row | {"state": InstanceState.QUARANTINED, "reason": reason}

    def _row(
        self, one: Arrived, study_id: str, header: Header | None, series: str, sop: str
    ) -> dict[str, Any]:
        patient = (header.issuer_of_patient_id, header.patient_id) if header else ("", "")
        return {
            "id": one.instance,
            "study": study_id,
            "series": self._series_number(study_id, series),
            "state": InstanceState.RECEIVED,
            "reason": "",
            "conflict_with": None,
            "arrived_at": one.arrived_at,
            "bytes": one.bytes,
            "sop_class_uid": header.sop_class_uid if header else "",
            "transfer_syntax_uid": header.transfer_syntax_uid if header else "",
            "modality": header.modality if header else "",
            "called_ae_title": header.called_ae_title if header else "",
            "calling_ae_title": header.calling_ae_title if header else "",
            "sop_digest": sop,
            "sop_instance_uid": header.sop_instance_uid if header else None,
            "series_digest": series,
            "series_instance_uid": header.series_instance_uid if header else None,
            "patient_digest": self._place.digests.of(*patient),
            "patient_id": patient[1],
            "issuer_of_patient_id": patient[0],
            "source_digest": "",
        }

    def _judge(self, row: dict[str, Any], state: StudyState) -> None:
        """Tell whether an instance is new, a copy of what we have, or in conflict with it."""
        if state == StudyState.REJECTED:
            row["state"] = InstanceState.REJECTED
            return
        twins = self._twins.get((row["study"], row["sop_digest"]), ())
        if not twins:
            return
        row["source_digest"] = dataset_digest(self._paths[row["id"]])
        for twin in twins:
            if self._digest_of(twin) != row["source_digest"]:
                continue
            if twin.get("release_purged_at"):
                row["reason"] = "sent again after its release was purged"
                return
            row["state"] = InstanceState.DUPLICATE
            row["reason"] = f"the same as {twin['id']}"
            self._tx.tell("instance_duplicate", row["study"], instance=row["id"])
            return
        row["conflict_with"] = twins[0]["id"]

    def _digest_of(self, twin: Any) -> str:
        if twin["source_digest"]:
            return str(twin["source_digest"])
        path = self._paths.get(twin["id"]) or original(self._place.inbox, twin["study"], twin["id"])
        try:
            return dataset_digest(path)
        except (OSError, Unreadable):
            return ""  # nobody can say that it is the same: a conflict, which a person decides

    def _reopen(self, study_id: str, header: Header) -> None:
        move_study(
            self._tx.conn,
            study_id,
            StudyState.RELEASED,
            StudyState.RECEIVING,
            self._tx.now,
            first_arrival_steady=self._tx.now,
            last_arrival_steady=self._tx.now,
        )
        digest = self._place.digests.of(header.study_instance_uid)
        self._studies[digest] = (study_id, StudyState.RECEIVING)
        self._tx.tell("study_reopened", study_id)

    def _note_arrival(self, study_id: str, arrived_at: float) -> None:
        steady = self._steady(arrived_at)
        _first, last = self._arrivals.get(study_id, (steady, steady))
        self._arrivals[study_id] = (_first, max(last, steady))

    def _steady(self, arrived_at: float) -> float:
        """Give the steady time of an arrival: as its file says, but after the last pass."""
        age = time.time() - arrived_at
        return min(max(self._tx.now - age, self._since), self._tx.now)


def _note_associations(
    transaction: Transaction, fresh: Sequence[Arrived], rows: Sequence[dict[str, Any]]
) -> None:
    latest: dict[str, tuple[int, str]] = {}
    for one, row in zip(fresh, rows, strict=True):
        latest[one.association] = max(
            latest.get(one.association, (-1, "")), (one.number, row["study"])
        )
    for association_id, (number, study_id) in latest.items():
        row_ = upsert(association).values(id=association_id, study=study_id, number=number)
        transaction.conn.execute(
            row_.on_conflict_do_update(
                index_elements=["id"],
                set_={"study": study_id, "number": number},
                where=association.c.number < number,
            )
        )


def _move_files(place: Workplace, studies: dict[str, str]) -> None:
    """Move files to their study; both names' folders are synced, the new one first."""
    folders: set[Path] = set()
    for name, study_id in studies.items():
        folder = place.inbox.studies / study_id
        if folder not in folders:
            folder.mkdir(mode=0o770, exist_ok=True)
            folders.add(folder)
        _move(place.inbox.arrived / f"{name}.dcm", folder / f"{name}.dcm")
    for folder in folders:
        disk.fsync_dir(folder)
    disk.fsync_dir(place.inbox.studies)
    disk.fsync_dir(place.inbox.arrived)


def _move(source: Path, target: Path) -> None:
    try:
        disk.rename_noreplace(source, target)
    except FileExistsError:
        # A filesystem without the flag links, then unlinks: a crash in between leaves both names.
        if not source.samefile(target):
            raise
        source.unlink()
