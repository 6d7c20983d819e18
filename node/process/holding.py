"""PROCESSING -> HELD: a person must look."""

from __future__ import annotations

from node.inbox.index import AnyRow
from node.inbox.states import StudyState, move_study
from node.outbox.manifest import ManifestInvalid
from node.process.workplace import Transaction


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


def untrusted(error: ManifestInvalid) -> str:
    """Say why a study is held of which a release cannot be trusted; `forward` refuses that."""
    return (
        f"a release of it has a manifest that cannot be trusted ({error}): find out who altered "
        "it, move its folder away, and requeue the study"
    )
