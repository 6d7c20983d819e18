"""The ledger's rows of instances: one per instance of a delivery, known by its file's name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
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


# Statements of each turn are built once: to build one takes longer than SQLite takes for it.
_INSTANCES = (
    sa.select(
        *[delivery_instance.c[each.name] for each in fields(DeliveryInstance)],
    )
    .where(delivery_instance.c.delivery == sa.bindparam("number"))
    .order_by(delivery_instance.c.failures, delivery_instance.c.intents, sa.text("rowid"))
)
_ours, _other = delivery_instance.alias(), delivery_instance.alias()
#: What another delivery to the same destination has begun to send.
_OTHERS = (
    sa.select(_other.c.sha256)
    .join(delivery, delivery.c.id == _other.c.delivery)
    .where(
        _ours.c.delivery == sa.bindparam("number"),
        delivery.c.destination == sa.bindparam("to"),
        _other.c.delivery != sa.bindparam("number"),
        _other.c.intents > 0,
    )
)
_SAME_BYTES = _OTHERS.where(_other.c.sha256 == _ours.c.sha256)
_OTHER_BYTES = _OTHERS.where(
    _ours.c.state.in_([InstanceState.PENDING, InstanceState.INTENDED]),
    _other.c.file == _ours.c.file,
    _other.c.sha256 != _ours.c.sha256,
    _other.c.state != InstanceState.REFUSED,
)
_SUMMARY = (
    sa.select(delivery_instance.c.answer, sa.func.count().label("times"))
    .where(
        delivery_instance.c.delivery == sa.bindparam("number"),
        delivery_instance.c.state == sa.bindparam("state"),
        delivery_instance.c.answer != "",
    )
    .group_by(delivery_instance.c.answer)
    .order_by(sa.text("times DESC"), sa.func.min(sa.text("rowid")))
    .limit(3)
)
_INTEND = (
    delivery_instance.update()
    .where(
        delivery_instance.c.delivery == sa.bindparam("number"),
        delivery_instance.c.file == sa.bindparam("name"),
    )
    .values(state=InstanceState.INTENDED, intents=delivery_instance.c.intents + 1, answer="")
)
_RECORD = (
    delivery_instance.update()
    .where(
        delivery_instance.c.delivery == sa.bindparam("number"),
        delivery_instance.c.file == sa.bindparam("name"),
    )
    .values(
        state=sa.bindparam("new_state"),
        answer=sa.bindparam("new_answer"),
        failures=delivery_instance.c.failures + sa.bindparam("failed"),
        intents=delivery_instance.c.intents - sa.bindparam("taken_back"),
    )
)


def instances_of(connection: sa.Connection, number: int) -> list[DeliveryInstance]:
    """List the instances of a delivery, those that failed or were tried least first.

    So that one that ends each association comes last, and the others of its study are not held.
    """
    rows = connection.execute(_INSTANCES, {"number": number})
    return [
        DeliveryInstance(row.file, row.sha256, InstanceState(row.state), *row[3:]) for row in rows
    ]


def summary(connection: sa.Connection, number: int, state: InstanceState, total: int) -> str:
    """Say in one line what a delivery's instances in a state were answered: `2 of 40: A900H …`."""
    rows = connection.execute(_SUMMARY, {"number": number, "state": state})
    return "; ".join(f"{row.times} of {total}: {row.answer}" for row in rows)


def intended_before(connection: sa.Connection, to: str, number: int) -> frozenset[str]:
    """Give those digests of a delivery that another to the same destination has intended before."""
    found = connection.execute(_SAME_BYTES, {"number": number, "to": to})
    return frozenset(found.scalars())


def another_version_is_out(connection: sa.Connection, to: str, number: int) -> bool:
    """Tell whether a destination was sent other bytes before for what a delivery is yet to send.

    The same name is the same new SOP Instance UID. What the destination refused is not there.
    """
    return connection.execute(_OTHER_BYTES, {"number": number, "to": to}).first() is not None


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
        connection.execute(_INTEND, rows)


def record(connection: sa.Connection, outcomes: Sequence[InstanceOutcome]) -> None:
    """Write what became of instances that were intended."""
    rows = [
        {
            "number": outcome.delivery, "name": outcome.file, "new_state": outcome.state,
            "new_answer": outcome.answer, "failed": int(outcome.failed),
            "taken_back": int(not outcome.begun),
        }
        for outcome in outcomes
    ]  # fmt: skip
    if rows:
        connection.execute(_RECORD, rows)


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
