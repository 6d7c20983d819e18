"""The ledger's writing side; `forward` alone calls it. Reading is in node.outbox.deliveries."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from node import database
from node.outbox import instances
from node.outbox.decisions import DeliveryDecision
from node.outbox.manifest import Manifest, ReleasedInstance
from node.outbox.states import TRANSITIONS, DeliveryState, IllegalTransition, InstanceState
from node.outbox.tables import (
    commitment,
    decision,
    delivery,
    delivery_event,
    destination,
    release,
    withdrawal,
)

MIGRATIONS = Path(__file__).parent / "migrations"


def open_ledger(path: Path, *, readonly: bool = False) -> sa.Engine:
    """Open the ledger; its writer makes and migrates it.

    Raises
    ------
    DatabaseNotReady, DatabaseTooNew
        See node.database.
    """
    if readonly:
        return database.open_for_reading(path, MIGRATIONS)
    return database.open_for_writing(path, MIGRATIONS)


def add_release(
    connection: sa.Connection, manifest: Manifest, now: float, problem: str = ""
) -> None:
    """Note a release that was seen."""
    connection.execute(
        _RELEASE,
        {
            "name": manifest.release, "study": manifest.study, "generation": manifest.generation,
            "sequence": manifest.sequence, "instances": manifest.totals["instances"],
            "problem": problem, "seen_at": now,
        },
    )  # fmt: skip


def add_unreadable_release(connection: sa.Connection, name: str, now: float, problem: str) -> None:
    """Note a release folder whose manifest cannot be trusted; it names no destination."""
    study, _, generation = name.rpartition("-g")
    connection.execute(
        release.insert().values(
            name=name, study=study or name, sequence=0, instances=0, problem=problem, seen_at=now,
            generation=int(generation) if generation.isdecimal() else 0,
        )
    )  # fmt: skip


def forget_unreadable_releases(connection: sa.Connection) -> None:
    """Drop what add_unreadable_release noted, so that those folders are looked at again."""
    connection.execute(release.delete().where(release.c.sequence == 0))


def take_decision(
    connection: sa.Connection, name: str, made: DeliveryDecision, now: float, refusal: str = ""
) -> None:
    """Note a person's decision that was taken up; `refusal` says why it was not carried out."""
    connection.execute(
        insert(decision)
        .values(
            name=name, kind=made.kind, study=made.study, destination=made.destination,
            who=made.who, why=made.why, taken_at=now, refusal=refusal,
        )
        .on_conflict_do_nothing()
    )  # fmt: skip


def add_delivery(
    connection: sa.Connection,
    name: str,
    to: str,
    entries: Sequence[ReleasedInstance],
    now: float,
    *,
    state: DeliveryState = DeliveryState.PENDING,
    answer: str = "",
    intents: int = 0,
) -> int:
    """Make the rows of one release at one destination and give the delivery's id.

    `intents` is 1 where the instances may have been sent before, by a ledger that was lost.
    """
    (number,) = connection.execute(
        _DELIVERY,
        {
            "release": name, "destination": to, "state": state, "last_answer": answer,
            "updated_at": now,
        },
    ).one()  # fmt: skip
    instances.add(connection, number, entries, _instance_state(state), intents)
    _note(connection, number, now, state, answer)
    return int(number)


def move(
    connection: sa.Connection,
    number: int,
    before: DeliveryState,
    after: DeliveryState,
    now: float,
    *,
    answer: str = "",
    **values: Any,
) -> None:
    """Move a delivery from one state to another, and note it in its timeline.

    Raises
    ------
    IllegalTransition
        If the table has no such move, or the delivery was no longer in `before`.
    """
    if after not in TRANSITIONS[before]:
        raise IllegalTransition(f"no delivery moves from {before} to {after}")
    values |= {"state": after, "last_answer": answer, "updated_at": now}
    moved = connection.execute(
        _move_statement(tuple(values)), _new(values) | {"number": number, "before": before}
    )
    if moved.rowcount != 1:
        raise IllegalTransition(f"delivery {number} was not {before}")
    _note(connection, number, now, after, answer)


def set_destination(connection: sa.Connection, name: str, **values: Any) -> None:
    """Write what is known of a destination."""
    connection.execute(_destination_statement(tuple(values)), _new(values) | {"new_name": name})


def open_gates(connection: sa.Connection, to: str) -> None:
    """Let a destination, and what is deferred for it, be tried now."""
    set_destination(connection, to, next_attempt_at=None)
    connection.execute(
        delivery.update()
        .where(delivery.c.destination == to, delivery.c.state == DeliveryState.DEFERRED)
        .values(next_attempt_at=None)
    )


def add_withdrawal(connection: sa.Connection, study: str, now: float) -> None:
    """Note that a study was taken back."""
    connection.execute(insert(withdrawal).values(study=study, at=now).on_conflict_do_nothing())


def add_transaction(connection: sa.Connection, uid: str, number: int, now: float) -> None:
    """Remember under which Transaction UID commitment of a delivery was asked for."""
    connection.execute(
        commitment.insert().values(transaction_uid=uid, delivery=number, asked_at=now)
    )


def set_next_attempt(connection: sa.Connection, number: int, at: float, attempts: int) -> None:
    """Set when a delivery is looked at again, and how often that was."""
    connection.execute(
        delivery.update()
        .where(delivery.c.id == number)
        .values(next_attempt_at=at, attempts=attempts)
    )


def _instance_state(state: DeliveryState) -> InstanceState:
    known: Mapping[DeliveryState, InstanceState] = {
        DeliveryState.DELIVERED: InstanceState.STORED,
        DeliveryState.COMMITTED: InstanceState.COMMITTED,
    }
    return known.get(state, InstanceState.PENDING)


def _note(
    connection: sa.Connection, number: int, now: float, state: DeliveryState, answer: str
) -> None:
    connection.execute(_NOTE, {"delivery": number, "at": now, "state": state, "answer": answer})


# Statements are built once for the columns that they set: to build one takes longer than SQLite
# takes for it.
_NOTE = delivery_event.insert()
_DELIVERY = delivery.insert().returning(delivery.c.id)
_RELEASE = release.insert()


@functools.cache
def _move_statement(names: tuple[str, ...]) -> sa.Update:
    return (
        delivery.update()
        .where(delivery.c.id == sa.bindparam("number"), delivery.c.state == sa.bindparam("before"))
        .values({name: sa.bindparam(f"new_{name}") for name in names})
    )


@functools.cache
def _destination_statement(names: tuple[str, ...]) -> sa.Insert:
    new: dict[str, sa.BindParameter[Any]] = {name: sa.bindparam(f"new_{name}") for name in names}
    return (
        insert(destination)
        .values({"name": sa.bindparam("new_name"), **new})
        .on_conflict_do_update(index_elements=["name"], set_=new)
    )


def _new(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"new_{name}": value for name, value in values.items()}
