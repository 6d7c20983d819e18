"""What the ledger knows of each destination: how it fares, and what it has of what goes there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from node.outbox.states import DeliveryState
from node.outbox.tables import delivery, destination

_DESTINATION = sa.select(destination).where(destination.c.name == sa.bindparam("name"))


@dataclass(frozen=True, slots=True)
class DestinationRow:
    """What is known of a destination."""

    name: str
    paused: bool = False
    failures: int = 0
    next_attempt_at: float | None = None
    last_answer: str = ""
    last_answer_at: float | None = None


def destination_row(connection: sa.Connection, name: str) -> DestinationRow:
    """Give what is known of a destination; nothing yet is a row of defaults."""
    row = connection.execute(_DESTINATION, {"name": name}).first()
    return DestinationRow(**row._mapping) if row else DestinationRow(name)  # noqa: SLF001 -- SQLAlchemy's public name


def destinations_overview(connection: sa.Connection, names: Iterable[str]) -> list[dict[str, Any]]:
    """Tell per destination how many instances are pending, delivered, committed and refused.

    `delivered` are those that the destination answered to have, `committed` those among them that
    it took responsibility for. What was abandoned or withdrawn before it went is in no count.
    """
    open_states = [DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.DEFERRED]
    unsettled = delivery.c.total - delivery.c.stored - delivery.c.refused
    rows = connection.execute(
        sa.select(
            delivery.c.destination,
            sa.func.sum(sa.case((delivery.c.state.in_(open_states), unsettled), else_=0)),
            sa.func.sum(delivery.c.stored),
            sa.func.sum(delivery.c.committed),
            sa.func.sum(
                sa.case(
                    (
                        delivery.c.state == DeliveryState.REFUSED,
                        delivery.c.total - delivery.c.stored,
                    ),
                    else_=delivery.c.refused,
                )
            ),
            sa.func.max(
                sa.case(
                    (delivery.c.state == DeliveryState.DEFERRED, delivery.c.next_attempt_at),
                    else_=None,
                )
            ),
        ).group_by(delivery.c.destination)
    )
    counts = {row[0]: tuple(row)[1:] for row in rows}
    overview = []
    for name in names:
        pending, delivered, committed, refused, until = counts.get(name, (0, 0, 0, 0, None))
        row = destination_row(connection, name)
        overview.append(
            {
                "name": name, "pending": pending, "deferred_until": row.next_attempt_at or until,
                "delivered": delivered, "committed": committed, "refused": refused,
                "last_answer": row.last_answer, "paused": row.paused,
            }
        )  # fmt: skip
    return overview
