"""PROCESSING -> HELD: a person must look."""

from __future__ import annotations

from sqlalchemy import update

from node.inbox.index import AnyRow
from node.inbox.states import StudyState, move_study
from node.inbox.tables import generation
from node.outbox.manifest import ManifestInvalid
from node.process.release import is_out
from node.process.workplace import Transaction, Workplace


def hold(transaction: Transaction, row: AnyRow, reason: str) -> None:
    """Hold a study that was processed, with a reason that names no value."""
    move_study(
        transaction.conn,
        row.id,
        StudyState.PROCESSING,
        StudyState.HELD,
        transaction.now,
        reason=reason,
    )
    transaction.tell("study_held", row.id, generation=row.generation, reason=reason)


def hold_untrusted(
    place: Workplace, transaction: Transaction, row: AnyRow, error: ManifestInvalid
) -> None:
    """Hold a study of which a release cannot be trusted.

    `forward` refuses that release for good, by its name: the name is not given again.
    """
    if is_out(place, row):
        mine = (generation.c.study == row.id, generation.c.number == row.generation)
        transaction.conn.execute(update(generation).where(*mine).values(untrusted=True))
    reason = (
        f"a release of it has a manifest that cannot be trusted ({error}): find out who altered "
        "it, move its folder away, and requeue the study"
    )
    hold(transaction, row, reason)
