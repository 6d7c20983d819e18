"""The ledger's rows of instances: one per instance of a delivery, known by its file's name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from node.outbox.manifest import ReleasedInstance
from node.outbox.states import DeliveryState, InstanceState
from node.outbox.tables import delivery, delivery_instance


@dataclass(frozen=True, slots=True)
class DeliveryInstance:
    """One instance of a delivery, known by its file's name."""

    file: str
    sha256: str
    state: InstanceState
    intents: int
    failures: int
    answer: str


@dataclass(frozen=True, slots=True)
class InstanceOutcome:
    """What became of one instance: its new state, the answer, and whether it counts as a failure.

    `begun=False` takes the intent back: nothing of the instance ever left.
    """

    delivery: int
    file: str
    state: InstanceState
    answer: str = ""
    failed: bool = False
    begun: bool = True


def instances_of(connection: sa.Connection, number: int) -> list[DeliveryInstance]:
    """List the instances of a delivery, those that failed or were tried least first.

    So that one that ends each association comes last, and the others of its study are not held.
    """
    table = delivery_instance
    rows = connection.execute(
        sa.select(
            table.c.file, table.c.sha256, table.c.state, table.c.intents, table.c.failures,
            table.c.answer,
        )
        .where(table.c.delivery == number)
        .order_by(table.c.failures, table.c.intents, sa.text("rowid"))
    )  # fmt: skip
    return [
        DeliveryInstance(row.file, row.sha256, InstanceState(row.state), *row[3:]) for row in rows
    ]


def intended_before(
    connection: sa.Connection, to: str, digests: Sequence[str], number: int
) -> frozenset[str]:
    """Give those digests that another delivery to the same destination has intended before."""
    table = delivery_instance
    query = (
        sa.select(table.c.sha256)
        .join(delivery, delivery.c.id == table.c.delivery)
        .where(delivery.c.destination == to, delivery.c.id != number, table.c.intents > 0)
    )
    found: set[str] = set()
    for start in range(0, len(digests), 500):
        some = digests[start : start + 500]
        found.update(
            row.sha256 for row in connection.execute(query.where(table.c.sha256.in_(some)))
        )
    return frozenset(found)


def another_version_is_out(
    connection: sa.Connection, to: str, rows: Sequence[DeliveryInstance], number: int
) -> bool:
    """Tell whether a destination was sent a file of one of these names with other bytes before.

    The same name is the same new SOP Instance UID. What the destination refused is not there.
    """
    table = delivery_instance
    query = (
        sa.select(table.c.file, table.c.sha256)
        .join(delivery, delivery.c.id == table.c.delivery)
        .where(
            delivery.c.destination == to,
            delivery.c.id != number,
            table.c.intents > 0,
            table.c.state != InstanceState.REFUSED,
        )
    )
    digests = {row.file: row.sha256 for row in rows}
    names = list(digests)
    return any(
        digests[found.file] != found.sha256
        for start in range(0, len(names), 500)
        for found in connection.execute(query.where(table.c.file.in_(names[start : start + 500])))
    )


def add(
    connection: sa.Connection,
    number: int,
    entries: Sequence[ReleasedInstance],
    state: InstanceState = InstanceState.PENDING,
    intents: int = 0,
) -> None:
    """Add instances to a delivery."""
    rows = [
        {"delivery": number, "file": entry.file, "sha256": entry.sha256, "state": state,
         "intents": intents}
        for entry in entries
    ]  # fmt: skip
    if rows:
        connection.execute(delivery_instance.insert(), rows)


def replace(connection: sa.Connection, number: int, file: str, by: ReleasedInstance) -> None:
    """Let a delivery send another file of an instance, of which nothing is there yet."""
    connection.execute(
        delivery_instance.update()
        .where(delivery_instance.c.delivery == number, delivery_instance.c.file == file)
        .values(
            file=by.file, sha256=by.sha256, state=InstanceState.PENDING, intents=0, failures=0,
            answer="",
        )
    )  # fmt: skip


def doubt(connection: sa.Connection, states: Iterable[DeliveryState]) -> None:
    """Let the instances of deliveries in these states count as perhaps sent before."""
    open_ones = sa.select(delivery.c.id).where(delivery.c.state.in_(list(states)))
    connection.execute(
        delivery_instance.update()
        .where(delivery_instance.c.intents == 0, delivery_instance.c.delivery.in_(open_ones))
        .values(intents=1)
    )


def intend(connection: sa.Connection, number: int, files: Iterable[str]) -> None:
    """Write down, before the first byte leaves, which instances are about to be sent."""
    rows = [{"number": number, "name": file} for file in files]
    if rows:
        connection.execute(
            delivery_instance.update()
            .where(
                delivery_instance.c.delivery == sa.bindparam("number"),
                delivery_instance.c.file == sa.bindparam("name"),
            )
            .values(
                state=InstanceState.INTENDED, intents=delivery_instance.c.intents + 1, answer=""
            ),
            rows,
        )


def record(connection: sa.Connection, outcomes: Sequence[InstanceOutcome]) -> None:
    """Write what became of instances that were intended."""
    if not outcomes:
        return
    table = delivery_instance
    connection.execute(
        table.update()
        .where(
            table.c.delivery == sa.bindparam("number"),
            table.c.file == sa.bindparam("name"),
        )
        .values(
            state=sa.bindparam("new_state"),
            answer=sa.bindparam("new_answer"),
            failures=table.c.failures + sa.bindparam("failed"),
            intents=table.c.intents - sa.bindparam("taken_back"),
        ),
        [
            {
                "number": outcome.delivery, "name": outcome.file, "new_state": outcome.state,
                "new_answer": outcome.answer, "failed": int(outcome.failed),
                "taken_back": int(not outcome.begun),
            }
            for outcome in outcomes
        ],
    )  # fmt: skip


def reset(
    connection: sa.Connection, number: int, states: Iterable[InstanceState], *, failures: bool
) -> None:
    """Put a delivery's instances that are in one of `states` back to PENDING."""
    values: dict[str, Any] = {"state": InstanceState.PENDING, "answer": ""}
    if failures:
        values["failures"] = 0
    connection.execute(
        delivery_instance.update()
        .where(delivery_instance.c.delivery == number, delivery_instance.c.state.in_(list(states)))
        .values(**values)
    )
