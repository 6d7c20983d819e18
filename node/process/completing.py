"""RECEIVING -> COMPLETE: the studies that nothing more is expected for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from sqlalchemy import Connection, bindparam, delete, or_, select

from node import disk
from node.inbox.index import AnyRow
from node.inbox.states import StudyState, move_study
from node.inbox.tables import association, study
from node.process.completion import Arrivals, is_complete, policy_for, shortest_wait
from node.process.workplace import Transaction, Workplace

#: So many studies are moved in one transaction.
AT_ONCE = 500
_CANDIDATES = select(study).where(
    study.c.state == StudyState.RECEIVING,
    or_(study.c.complete_now, study.c.first_arrival_steady <= bindparam("latest")),
)
_ASSOCIATIONS = select(association.c.id, association.c.study).where(
    association.c.study.in_(bindparam("studies", expanding=True))
)
_FORGET_ASSOCIATIONS = delete(association).where(
    association.c.study.in_(bindparam("studies", expanding=True))
)


def complete_studies(place: Workplace) -> int:
    """Move each study that is complete by now, and return how many."""
    now = place.clock.now()
    with place.index.connect() as conn:
        latest = now - shortest_wait(place.config)
        candidates = conn.execute(_CANDIDATES, {"latest": latest}).all()
        quiet = [row for row in candidates if _is_complete(place, row, now, sending=False)]
        sending = _being_sent(place, conn, [row.id for row in quiet])
    decided = (row for row in quiet if _is_complete(place, row, now, sending=row.id in sending))
    complete = list(islice(decided, AT_ONCE))
    if complete:
        with place.transaction() as transaction:
            for row in complete:
                _complete(transaction, row)
            forgotten = {"studies": [row.id for row in complete]}
            transaction.conn.execute(_FORGET_ASSOCIATIONS, forgotten)
    return len(complete)


def _is_complete(place: Workplace, row: AnyRow, now: float, *, sending: bool) -> bool:
    policy = policy_for(place.config, row.called_ae_title, row.calling_ae_title, [row.modality])
    arrivals = Arrivals(
        row.first_arrival_steady, row.last_arrival_steady, sending, row.complete_now
    )
    return is_complete(arrivals, policy, now)


def _being_sent(place: Workplace, conn: Connection, names: Sequence[str]) -> set[str]:
    """Give those whose instance is the latest of an association that still holds its folder."""
    sending: set[str] = set()
    for first in range(0, len(names), AT_ONCE):
        for row in conn.execute(_ASSOCIATIONS, {"studies": names[first : first + AT_ONCE]}):
            if disk.is_locked(place.inbox.spool / row.id):
                sending.add(row.study)
    return sending


def _complete(transaction: Transaction, row: AnyRow) -> None:
    move_study(
        transaction.conn,
        row.id,
        StudyState.RECEIVING,
        StudyState.COMPLETE,
        transaction.now,
        complete_now=False,
    )
    transaction.tell("study_completed", row.id, instances=row.received)
