"""A generation that was begun by another recipe than the one that holds now is made anew.

One release is made by one recipe: what a run before de-identified by another is taken back.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, select, update

from node.inbox.index import AnyRow
from node.inbox.states import InstanceState, StudyState, move_study
from node.inbox.tables import generation, instance, job
from node.process.choosing import recipe_now
from node.process.staging import release_name
from node.process.workplace import Transaction, Workplace


def make_anew_if_outdated(place: Workplace, transaction: Transaction, row: AnyRow) -> bool:
    """Take a processing study's generation back if its recipe changed; tell whether it did."""
    if (place.outbox.releases / release_name(row.id, row.generation)).exists():
        return False  # out already; only its row is missing
    if not _anything_left(transaction, row):
        return False  # nothing of it was made by any recipe
    begun_by = transaction.conn.execute(
        select(generation.c.recipe_digest).where(
            generation.c.study == row.id, generation.c.number == row.generation
        )
    ).scalar_one()
    if recipe_now(place, transaction, row) == begun_by:
        return False
    _take_back(transaction, row)
    return True


def _anything_left(transaction: Transaction, row: AnyRow) -> bool:
    query = select(instance.c.id).where(*_left(row)).limit(1)
    return transaction.conn.execute(query).first() is not None


def _left(row: AnyRow) -> tuple[ColumnElement[bool], ...]:
    """Mean what may still leave with a generation."""
    return (
        instance.c.study == row.id,
        instance.c.generation == row.generation,
        instance.c.state.in_((InstanceState.DEIDENTIFIED, InstanceState.RECEIVED)),
    )


def _take_back(transaction: Transaction, row: AnyRow) -> None:
    transaction.conn.execute(delete(job).where(job.c.study == row.id))
    transaction.conn.execute(
        update(instance).where(*_left(row)).values(state=InstanceState.RECEIVED, waits_for=None)
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
