"""RECEIVING -> COMPLETE: the studies that nothing more is expected for."""

from __future__ import annotations

from sqlalchemy import delete, or_, select

from node import disk
from node.inbox.index import AnyRow
from node.inbox.states import StudyState, move_study
from node.inbox.tables import association, study
from node.process.completion import Arrivals, is_complete, policy_for, shortest_wait
from node.process.workplace import Transaction, Workplace


def complete_studies(place: Workplace) -> int:
    """Move each study that is complete by now, and return how many."""
    now = place.clock.now()
    query = select(study).where(
        study.c.state == StudyState.RECEIVING,
        or_(
            study.c.complete_now,
            study.c.first_arrival_steady <= now - shortest_wait(place.config),
        ),
    )
    with place.index.connect() as conn:
        candidates = conn.execute(query).all()
    complete = [row for row in candidates if _is_complete(place, row, now)]
    if complete:
        with place.transaction() as transaction:
            for row in complete:
                _complete(transaction, row)
    return len(complete)


def _is_complete(place: Workplace, row: AnyRow, now: float) -> bool:
    policy = policy_for(place.config, row.called_ae_title, row.calling_ae_title, [row.modality])
    arrivals = Arrivals(row.first_arrival_steady, row.last_arrival_steady, False, row.complete_now)
    if not is_complete(arrivals, policy, now):
        return False
    sending = _association_open(place, row.id)
    return is_complete(
        Arrivals(arrivals.first, arrivals.last, sending, arrivals.complete_now), policy, now
    )


def _association_open(place: Workplace, study_id: str) -> bool:
    """Tell whether an association whose latest instance is this study's still holds its folder."""
    query = select(association.c.id).where(association.c.study == study_id)
    with place.index.connect() as conn:
        ids = conn.execute(query).scalars().all()
    return any(disk.is_locked(place.inbox.spool / one) for one in ids)


def _complete(transaction: Transaction, row: AnyRow) -> None:
    move_study(
        transaction.conn,
        row.id,
        StudyState.RECEIVING,
        StudyState.COMPLETE,
        transaction.now,
        complete_now=False,
    )
    transaction.conn.execute(delete(association).where(association.c.study == row.id))
    transaction.tell("study_completed", row.id, instances=row.received)
