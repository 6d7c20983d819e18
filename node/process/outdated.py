"""A generation that was begun by another recipe than the one that holds now is made anew.

One release is made by one recipe: what a run before de-identified by another is taken back.
"""

from __future__ import annotations

from sqlalchemy import delete, update

from node.inbox.states import InstanceState, StudyState, move_study
from node.inbox.tables import instance, job
from node.process.choosing import recipe_now
from node.process.finished import Finished
from node.process.workplace import Transaction, Workplace


def make_anew_if_outdated(place: Workplace, transaction: Transaction, this: Finished) -> bool:
    """Take a generation that is not out back if its recipe changed; tell whether it did."""
    if not this.left:
        return False  # nothing of it was made by any recipe
    if recipe_now(place, this.study, this.left) == this.generation.recipe_digest:
        return False
    _take_back(transaction, this)
    return True


def _take_back(transaction: Transaction, this: Finished) -> None:
    row = this.study
    transaction.conn.execute(delete(job).where(job.c.study == row.id))
    transaction.conn.execute(
        update(instance)
        .where(instance.c.id.in_([one.id for one in this.left]))
        .values(state=InstanceState.RECEIVED, waits_for=None)
    )
    move_study(
        transaction.conn,
        row.id,
        StudyState.PROCESSING,
        StudyState.COMPLETE,
        transaction.now,
        override="",
    )
    transaction.tell("study_requeued", row.id, reason="what decides how it is treated has changed")
