"""A person or a list said no: nothing of the study will leave, and its originals go."""

from __future__ import annotations

from sqlalchemy import delete, update

from node.inbox.states import InstanceState, StudyState, move_study
from node.inbox.tables import instance, job
from node.process.workplace import Transaction

#: Outcomes that a rejection leaves as they are: what is out is out, and what was judged is judged.
_OPEN = (InstanceState.RECEIVED, InstanceState.DEIDENTIFIED)


def reject(transaction: Transaction, study_id: str, state: StudyState, reason: str) -> None:
    """Move a study to REJECTED with every instance that has not left; purging follows."""
    move_study(
        transaction.conn,
        study_id,
        state,
        StudyState.REJECTED,
        transaction.now,
        reason=reason,
    )
    transaction.conn.execute(
        update(instance)
        .where(instance.c.study == study_id, instance.c.state.in_(_OPEN), ~instance.c.released)
        .values(state=InstanceState.REJECTED, waits_for=None)
    )
    transaction.conn.execute(delete(job).where(job.c.study == study_id))
    transaction.tell("study_rejected", study_id, reason=reason)
