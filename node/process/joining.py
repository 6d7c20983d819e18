"""Which study an arrival belongs to, and what it is there: new, a copy, or in conflict.

One batch is looked up at once; nothing here touches a file but to compare two datasets.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from node.inbox.header import Header, Unreadable
from node.inbox.originals import dataset_digest, original
from node.inbox.states import InstanceState, StudyState, move_study
from node.inbox.tables import generation, instance, study
from node.process.receipts import redelivery_asked_at
from node.process.workplace import Transaction, Workplace

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32


def random_id(letters: int) -> str:
    """Make an id of ours that nobody has used before."""
    return "".join(secrets.choice(_LETTERS) for _ in range(letters))


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


class StudiesOfBatch:
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
        self._redeliveries: dict[str, float] = {}
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
        if state in (StudyState.RELEASED, StudyState.REJECTED):
            self._unpurge(study_id, header)
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
                # Not as pairs: for those SQLite would scan the whole table.
                .where(columns.study.in_({pair[0] for pair in keys}))
                .where(columns.sop_digest.in_({pair[1] for pair in keys}))
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
            .where(columns.study.in_({pair[0] for pair in keys}))
            .where(columns.series_digest.in_({pair[1] for pair in keys}))
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
        study_id = random_id(8)
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
        for twin in reversed(twins):
            if self._digest_of(twin) != row["source_digest"]:
                continue
            if wanted := self._why_wanted_again(twin):
                row["reason"] = wanted
                return
            row["state"] = InstanceState.DUPLICATE
            row["reason"] = f"the same as {twin['id']}"
            self._tx.tell("instance_duplicate", row["study"], instance=row["id"])
            return
        row["conflict_with"] = twins[0]["id"]

    def _why_wanted_again(self, twin: Any) -> str:
        """Say why a copy of what is out is processed anew; empty if it is just a copy."""
        if twin.get("release_purged_at"):
            return "sent again after its release was purged"
        asked = self._redeliveries.get(twin["study"])
        if asked is None:
            asked = redelivery_asked_at(self._place.outbox, twin["study"])
            self._redeliveries[twin["study"]] = asked
        return "sent again after its redelivery was asked for" if asked > twin["arrived_at"] else ""

    def _unpurge(self, study_id: str, header: Header) -> None:
        """Note that a purged study has an original again."""
        self._tx.conn.execute(
            update(study)
            .where(study.c.id == study_id, study.c.purged_at.is_not(None))
            .values(purged_at=None, study_instance_uid=header.study_instance_uid)
        )

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
