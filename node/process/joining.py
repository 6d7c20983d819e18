"""Which study an arrival belongs to: one that is known, or one that is opened for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select, update

from node.inbox.header import Header
from node.inbox.header_columns import header_columns
from node.inbox.states import InstanceState, StudyState, move_study
from node.inbox.tables import instance, study
from node.process.arrived import Arrived, random_id
from node.process.twins import Twins
from node.process.workplace import Transaction, Workplace


class StudiesOfBatch:
    """The studies that a batch of arrivals belongs to, looked up at once and opened as needed."""

    def __init__(
        self, place: Workplace, transaction: Transaction, fresh: Sequence[Arrived], since: float
    ) -> None:
        self._digests = place.digests
        self._tx = transaction
        self._since = since
        headers = [one.header for one in fresh if one.header]
        self._studies = self._known({self._digests.of(one.study_instance_uid) for one in headers})
        known = [
            (found[0], header)
            for header in headers
            if (found := self._studies.get(self._digests.of(header.study_instance_uid)))
        ]
        self._series = self._known_series(
            {(name, self._digests.of(header.series_instance_uid)) for name, header in known}
        )
        self._twins = Twins(
            place,
            transaction,
            {(name, self._digests.of(header.sop_instance_uid)) for name, header in known},
        )
        self._arrivals: dict[str, float] = {}

    def row_of(self, one: Arrived) -> dict[str, Any]:
        """Make the row of one arrival, and move its study if it must."""
        if one.header is None:
            return self._unreadable_row(one)
        header = one.header
        study_id, state = self._study_of(one, header)
        row = self._row(one, study_id)
        if state == StudyState.REJECTED:
            row["state"] = InstanceState.REJECTED
        else:
            self._twins.judge(row, one.path)
        if row["state"] == InstanceState.RECEIVED and state == StudyState.RELEASED:
            self._reopen(study_id, header)
        if state in (StudyState.RELEASED, StudyState.REJECTED):
            self._unpurge(study_id, header)
        arrived = self._steady(one.arrived_at)
        self._arrivals[study_id] = max(self._arrivals.get(study_id, arrived), arrived)
        return row

    def write_arrivals(self) -> None:
        """Write when each study of the batch last got an instance."""
        for study_id, last in self._arrivals.items():
            self._tx.conn.execute(
                update(study)
                .where(study.c.id == study_id, study.c.last_arrival_steady < last)
                .values(last_arrival_steady=last)
            )

    def _known(self, digests: set[str]) -> dict[str, tuple[str, StudyState]]:
        query = select(study.c.uid_digest, study.c.id, study.c.state)
        found = self._tx.conn.execute(query.where(study.c.uid_digest.in_(digests)))
        return {digest: (study_id, StudyState(state)) for digest, study_id, state in found}

    def _known_series(self, keys: set[tuple[str, str]]) -> dict[str, dict[str, int]]:
        """Give our number of each series, by study and digest."""
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
        digest = self._digests.of(header.study_instance_uid)
        known = self._studies.get(digest)
        if known is None:
            study_id = self._open_study(one, digest, StudyState.RECEIVING)
            known = self._studies[digest] = (study_id, StudyState.RECEIVING)
        return known

    def _open_study(
        self, one: Arrived, digest: str | None, state: StudyState, reason: str = ""
    ) -> str:
        study_id = random_id(8)
        arrived = self._steady(one.arrived_at)
        header = one.header
        self._tx.conn.execute(
            insert(study).values(
                id=study_id,
                state=state,
                state_since=self._tx.now,
                reason=reason,
                uid_digest=digest,
                study_instance_uid=header.study_instance_uid if header else None,
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
        reason = "the header cannot be read"
        study_id = self._open_study(one, None, StudyState.HELD, reason)
        self._tx.tell("study_held", study_id, reason=reason)
        self._tx.tell("instance_quarantined", study_id, instance=one.instance, reason=reason)
        row = self._row(one, study_id)
        return row | {"state": InstanceState.QUARANTINED, "reason": reason}

    def _row(self, one: Arrived, study_id: str) -> dict[str, Any]:
        columns = header_columns(one.header, self._digests)
        return {
            "id": one.instance,
            "study": study_id,
            "series": self._series_number(study_id, columns["series_digest"]),
            "state": InstanceState.RECEIVED,
            "reason": "",
            "conflict_with": None,
            "arrived_at": one.arrived_at,
            "bytes": one.bytes,
            "source_digest": "",
            **columns,
        }

    def _unpurge(self, study_id: str, header: Header) -> None:
        """Note that a purged study has an original again."""
        self._tx.conn.execute(
            update(study)
            .where(study.c.id == study_id, study.c.purged_at.is_not(None))
            .values(purged_at=None, study_instance_uid=header.study_instance_uid)
        )

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
        digest = self._digests.of(header.study_instance_uid)
        self._studies[digest] = (study_id, StudyState.RECEIVING)
        self._tx.tell("study_reopened", study_id)

    def _steady(self, arrived_at: float) -> float:
        """Give the steady time of an arrival: as its file says, but after the last pass."""
        age = time.time() - arrived_at
        return min(max(self._tx.now - age, self._since), self._tx.now)
