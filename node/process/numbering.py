"""Which number a study's next generation has."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from node.inbox.tables import generation
from node.process.staging import release_name
from node.process.workplace import Transaction, Workplace


def last_released(conn: Connection, study_id: str) -> int:
    """Give the number of the generation that went out last; 0 if none did."""
    query = select(func.max(generation.c.number)).where(
        generation.c.study == study_id, generation.c.released_at.is_not(None)
    )
    return conn.execute(query).scalar() or 0


def next_generation(place: Workplace, transaction: Transaction, study_id: str) -> int:
    """Give the number after the last one that was released: a held generation keeps its own.

    A folder among the releases, or a receipt for one that is gone, counts without a row, too: its
    number is taken.
    """
    number = last_released(transaction.conn, study_id) + 1
    while _is_taken(place, release_name(study_id, number)):
        number += 1
    return number


def _is_taken(place: Workplace, name: str) -> bool:
    there = (place.outbox.releases / name).exists()
    return there or any(place.outbox.receipts.glob(f"{name}--*.json"))
