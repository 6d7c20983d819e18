"""Which study an arrival belongs to: one that is known, or one that is opened for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, bindparam, insert, select, update

from node.inbox.header import Header
from node.inbox.header_columns import header_columns
from node.inbox.states import InstanceState, StudyState, move_study
from node.inbox.tables import instance, study
from node.process.arrived import Arrived, random_id
from node.process.twins import Twins, apart
from node.process.workplace import Transaction, Workplace

_STUDIES = select(study.c.uid_digest, study.c.id, study.c.state).where(
    study.c.uid_digest.in_(bindparam("digests", expanding=True))
)
_SERIES = (
    select(instance.c.study, instance.c.series_digest, instance.c.series)
    .where(
        instance.c.study.in_(bindparam("studies", expanding=True)),
        instance.c.series_digest.in_(bindparam("digests", expanding=True)),
    )
    .distinct()
)
_NEXT_SERIES = (
    update(study)
    .where(study.c.id == bindparam("study_id"))
    .values(series=study.c.series + 1)
    .returning(study.c.series)
)
_OPEN = insert(study)
_LAST: BindParameter[float] = bindparam("last")
_ARRIVED = (
    update(study)
    .where(study.c.id == bindparam("study_id"), study.c.last_arrival_steady < _LAST)
    .values(last_arrival_steady=_LAST)
)


class StudiesOfBatch:
    """The studies that a batch of arrivals belongs to, looked up at once and opened as needed."""

    def __init__(
        self, place: Workplace, transaction: Transaction, fresh: Sequence[Arrived], since: float
    ) -> None:
        self._tx = transaction
        self._since = since
        uids = {one.header.study_instance_uid for one in fresh if one.header}
        self._digests = {uid: place.digests.of(uid) for uid in uids}
        self._columns = {one.instance: header_columns(one.header, place.digests) for one in fresh}
        self._studies = self._known()
        known = [
            (found[0], self._columns[one.instance])
            for one in fresh
            if one.header and (found := self._studies.get(self._digest(one.header)))
        ]
        self._series = self._known_series(
            {(study_id, columns["series_digest"]) for study_id, columns in known}
        )
        twins = {(study_id, columns["sop_digest"]) for study_id, columns in known}
        self._twins = Twins(place, transaction, twins)
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
        last = [{"study_id": name, "last": arrived} for name, arrived in self._arrivals.items()]
        if last:
            self._tx.conn.execute(_ARRIVED, last)

    def _digest(self, header: Header) -> str:
        return self._digests[header.study_instance_uid]

    def _known(self) -> dict[str, tuple[str, StudyState]]:
        found = self._tx.conn.execute(_STUDIES, {"digests": list(self._digests.values())})
        return {digest: (study_id, StudyState(state)) for digest, study_id, state in found}

    def _known_series(self, keys: set[tuple[str, str]]) -> dict[str, dict[str, int]]:
        """Give our number of each series, by study and digest."""
        known: dict[str, dict[str, int]] = {}
        for study_id, digest, number in self._tx.conn.execute(_SERIES, apart(keys)):
            known.setdefault(study_id, {})[digest] = number
        return known

    def _series_number(self, study_id: str, digest: str) -> int:
        numbers = self._series.setdefault(study_id, {})
        if digest not in numbers:
            counted = self._tx.conn.execute(_NEXT_SERIES, {"study_id": study_id})
            numbers[digest] = counted.scalar_one()
        return numbers[digest]

    def _study_of(self, one: Arrived, header: Header) -> tuple[str, StudyState]:
        digest = self._digest(header)
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
        row = {
            "id": study_id,
            "state": state,
            "state_since": self._tx.now,
            "reason": reason,
            "uid_digest": digest,
            "study_instance_uid": header.study_instance_uid if header else None,
            "opened_at": self._tx.wall,
            "first_arrival_steady": arrived,
            "last_arrival_steady": arrived,
            "called_ae_title": header.called_ae_title if header else "",
            "calling_ae_title": header.calling_ae_title if header else "",
            "modality": header.modality if header else "",
        }
        self._tx.conn.execute(_OPEN, row)
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
        columns = self._columns[one.instance]
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
        self._studies[self._digest(header)] = (study_id, StudyState.RECEIVING)
        self._tx.tell("study_reopened", study_id)

    def _steady(self, arrived_at: float) -> float:
        """Give the steady time of an arrival: as its file says, but after the last pass."""
        age = time.time() - arrived_at
        return min(max(self._tx.now - age, self._since), self._tx.now)
