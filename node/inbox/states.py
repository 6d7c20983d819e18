"""The states of a study and of an instance, and the one table and function that move them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, Update, bindparam, update

from node.inbox.tables import instance, study


class StudyState(StrEnum):
    """Where a study is."""

    #: Instances arrive, or may still arrive.
    RECEIVING = "RECEIVING"
    #: Nothing more is expected; the next generation is to be taken up.
    COMPLETE = "COMPLETE"
    #: A generation is with the workers, or on its way out.
    PROCESSING = "PROCESSING"
    #: The last generation lies in the outbox.
    RELEASED = "RELEASED"
    #: A finding, a conflict or a policy needs a person.
    HELD = "HELD"
    #: A person or a list said no; nothing of it will leave, and it never comes back.
    REJECTED = "REJECTED"


class InstanceState(StrEnum):
    """What became of an instance. RECEIVED is the only state without an outcome."""

    #: Waits for its generation, or for a person.
    RECEIVED = "RECEIVED"
    #: A de-identified file was written and validated; `released` says whether it went out.
    DEIDENTIFIED = "DEIDENTIFIED"
    #: The profile or a person leaves it out; the rest of the study goes.
    EXCLUDED = "EXCLUDED"
    #: It cannot be treated: unreadable, unknown to us, or deadly to its worker.
    QUARANTINED = "QUARANTINED"
    #: We have it already.
    DUPLICATE = "DUPLICATE"
    #: Its study was rejected.
    REJECTED = "REJECTED"


_S = StudyState
#: Every move that a study may make.
TRANSITIONS: frozenset[tuple[StudyState, StudyState]] = frozenset(
    {
        (_S.RECEIVING, _S.COMPLETE),  # quiet, too old, or a person's `complete`
        (_S.RECEIVING, _S.HELD),  # nothing in it can be read
        (_S.RECEIVING, _S.REJECTED),  # a person
        (_S.COMPLETE, _S.PROCESSING),  # a generation begins
        (_S.COMPLETE, _S.HELD),  # no route, an unreadable list, a patient not allowed
        (_S.COMPLETE, _S.REJECTED),  # a patient denied, or a person
        (_S.COMPLETE, _S.RELEASED),  # every waiting instance was a duplicate
        (_S.PROCESSING, _S.RELEASED),
        (_S.PROCESSING, _S.HELD),
        (_S.PROCESSING, _S.REJECTED),  # a person
        (_S.PROCESSING, _S.COMPLETE),  # its recipe changed: made anew
        (_S.RELEASED, _S.RECEIVING),  # a late instance
        (_S.RELEASED, _S.COMPLETE),  # a person has all generations made anew
        (_S.HELD, _S.COMPLETE),  # a person's `requeue`
        (_S.HELD, _S.PROCESSING),  # a person's `release` or `exclude`
        (_S.HELD, _S.REJECTED),  # a person, or the end of `held_max_days`
    }
)

_I = InstanceState
#: Every move that an instance may make.
INSTANCE_TRANSITIONS: frozenset[tuple[InstanceState, InstanceState]] = frozenset(
    {
        (_I.RECEIVED, _I.DEIDENTIFIED),
        (_I.RECEIVED, _I.EXCLUDED),
        (_I.RECEIVED, _I.QUARANTINED),
        (_I.RECEIVED, _I.DUPLICATE),
        (_I.RECEIVED, _I.REJECTED),
        (_I.DEIDENTIFIED, _I.RECEIVED),  # to be made anew
        (_I.DEIDENTIFIED, _I.EXCLUDED),  # a person
        (_I.DEIDENTIFIED, _I.DUPLICATE),  # its output is that of an earlier one
        (_I.DEIDENTIFIED, _I.REJECTED),
        (_I.EXCLUDED, _I.RECEIVED),  # a person's `requeue`
        (_I.QUARANTINED, _I.RECEIVED),  # a person's `requeue`
        (_I.QUARANTINED, _I.EXCLUDED),  # a person
    }
)


class IllegalTransition(Exception):  # noqa: N818 -- a fact about the call
    """A move that the table does not have. Trying again will not help."""


class Stale(Exception):  # noqa: N818 -- a fact about the row
    """The row is no longer in the state that the caller saw. Looking again helps."""


def move_study(
    conn: Connection,
    study_id: str,
    source: StudyState,
    target: StudyState,
    now: float,
    **values: Any,
) -> None:
    """Move a study from `source` to `target`, if it is still in `source`.

    `now` is the node's steady time in seconds; `values` are other columns that change with it,
    values and no expressions.
    """
    if (source, target) not in TRANSITIONS:
        raise IllegalTransition(f"a study does not go from {source} to {target}")
    values = {"state": target, "state_since": now, **values}
    moved = conn.execute(_move(study, tuple(values)), _values(study_id, source, values))
    if moved.rowcount != 1:
        raise Stale(f"study {study_id} is not {source}")


def move_instance(
    conn: Connection, instance_id: str, source: InstanceState, target: InstanceState, **values: Any
) -> None:
    """Move an instance from `source` to `target`, if it is still in `source`."""
    move_instances(conn, source, target, {instance_id: values})


def move_instances(
    conn: Connection,
    source: InstanceState,
    target: InstanceState,
    changes: Mapping[str, Mapping[str, Any]],
) -> None:
    """Move instances from `source` to `target`, if all of them are still in `source`.

    `changes` are by id; other columns that change with the state, the same ones for each instance.
    """
    if (source, target) not in INSTANCE_TRANSITIONS:
        raise IllegalTransition(f"an instance does not go from {source} to {target}")
    if not changes:
        return
    columns = ("state", *next(iter(changes.values())))
    rows = [_values(name, source, {"state": target, **values}) for name, values in changes.items()]
    if conn.execute(_move(instance, columns), rows).rowcount != len(rows):
        raise Stale(f"of {len(rows)} instances, not all are {source}")


@cache
def _move(table: Table, columns: tuple[str, ...]) -> Update:
    """Build the statement once for the columns that change: building costs more than running."""
    return (
        update(table)
        .where(table.c.id == bindparam("moved"), table.c.state == bindparam("source"))
        .values({name: bindparam(f"new_{name}") for name in columns})
    )


def _values(name: str, source: StrEnum, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"moved": name, "source": source} | {f"new_{key}": one for key, one in values.items()}
