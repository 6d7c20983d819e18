"""Which number a study's next generation has."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, func, select

from node.inbox.tables import generation
from node.process.staging import release_name
from node.process.workplace import Transaction, Workplace

_LAST = select(func.max(generation.c.number)).where(
    generation.c.study == bindparam("study_id"), generation.c.released_at.is_not(None)
)

_UNTRUSTED = select(func.max(generation.c.number)).where(
    generation.c.study == bindparam("study_id"), generation.c.untrusted
)


def last_released(conn: Connection, study_id: str) -> int:
    """Give the number of the generation that went out last; 0 if none did."""
    return conn.execute(_LAST, {"study_id": study_id}).scalar() or 0


def next_generation(place: Workplace, transaction: Transaction, study_id: str) -> int:
    """Give the number after the last one that was released: a held generation keeps its own.

    A release that was found untrusted has used its number up. A folder among the releases, or a
    receipt for one that is gone, counts without a row, too.
    """
    untrusted = transaction.conn.execute(_UNTRUSTED, {"study_id": study_id}).scalar() or 0
    number = max(last_released(transaction.conn, study_id), untrusted) + 1
    while _is_taken(place, transaction, release_name(study_id, number)):
        number += 1
    return number


def _is_taken(place: Workplace, transaction: Transaction, name: str) -> bool:
    if transaction.receipts is None:  # looked through once, however many studies begin
        paths = place.outbox.receipts.glob("*--*.json")
        transaction.receipts = {path.name.partition("--")[0] for path in paths}
    return name in transaction.receipts or (place.outbox.releases / name).exists()
