"""The ledger's reading side: frozen rows for forward, status, the web page and the command line."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from node.outbox.states import DeliveryState
from node.outbox.tables import (
    commitment,
    decision,
    delivery,
    delivery_event,
    release,
)
from node.outbox.tables import withdrawal as withdrawals


@dataclass(frozen=True, slots=True)
class Delivery:
    """One release at one destination; the counts are instances, `stored` includes `committed`."""

    id: int
    release: str
    study: str
    generation: int
    sequence: int
    destination: str
    state: DeliveryState
    attempts: int
    next_attempt_at: float | None
    last_answer: str
    total: int
    stored: int
    committed: int
    refused: int
    updated_at: float


_SELECT = sa.select(
    delivery.c.id,
    delivery.c.release,
    release.c.study,
    release.c.generation,
    release.c.sequence,
    *[
        delivery.c[name]
        for name in (
            "destination", "state", "attempts", "next_attempt_at", "last_answer", "total",
            "stored", "committed", "refused", "updated_at",
        )
    ],
).join_from(delivery, release)  # fmt: skip


# What each turn asks is built once: to build a statement takes longer than SQLite takes for it.
_BY_ID = _SELECT.where(delivery.c.id == sa.bindparam("number"))
_WITHDRAWN = sa.select(withdrawals.c.study).where(withdrawals.c.study == sa.bindparam("study"))
_TROUBLED = delivery.c.attempts > 0
_DUE = (
    _SELECT.where(
        delivery.c.destination == sa.bindparam("to"),
        sa.or_(
            delivery.c.state == sa.literal_column("'PENDING'"),
            delivery.c.state == sa.literal_column("'DEFERRED'"),
        ),
        sa.or_(
            delivery.c.next_attempt_at.is_(None),
            delivery.c.next_attempt_at <= sa.bindparam("now"),
            delivery.c.next_attempt_at > sa.bindparam("far"),
        ),
    )
    .order_by(
        sa.bindparam("troubled", type_=sa.Boolean) != _TROUBLED,
        sa.case(
            (sa.or_(_TROUBLED, sa.bindparam("alone", type_=sa.Boolean)), delivery.c.updated_at)
        ),
        release.c.sequence,
    )
    .limit(sa.bindparam("most"))
)


def deliveries(connection: sa.Connection, study: str | None = None) -> list[Delivery]:
    """List deliveries in order of release, of one study or of all."""
    query = _SELECT.order_by(release.c.sequence, delivery.c.destination)
    if study is not None:
        query = query.where(release.c.study == study)
    return [_delivery(row) for row in connection.execute(query)]


def delivery_by_id(connection: sa.Connection, number: int) -> Delivery:
    """Give one delivery."""
    return _delivery(connection.execute(_BY_ID, {"number": number}).one())


def delivery_by_transaction(connection: sa.Connection, uid: str) -> Delivery | None:
    """Give the delivery whose commitment was asked for under a Transaction UID."""
    query = _SELECT.join(commitment, commitment.c.delivery == delivery.c.id)
    row = connection.execute(query.where(commitment.c.transaction_uid == uid)).first()
    return _delivery(row) if row else None


def in_state(
    connection: sa.Connection, state: DeliveryState, to: str | None = None
) -> list[Delivery]:
    """List deliveries in one state, oldest release first."""
    query = _SELECT.where(delivery.c.state == state).order_by(release.c.sequence)
    if to is not None:
        query = query.where(delivery.c.destination == to)
    return [_delivery(row) for row in connection.execute(query)]


def due(
    connection: sa.Connection,
    to: str,
    now: float,
    horizon: float,
    limit: int,
    *,
    troubled_first: bool = False,
) -> list[Delivery]:
    """List what may be sent to a destination now: what had no trouble of its own, then the rest.

    Of the first, the oldest release comes first; where one alone is asked for (`limit` 1), and
    among the rest, what was left alone longest. A time of next attempt more than `horizon` seconds
    ahead was written by a clock that has been set back since: it counts as over.
    """
    rows = connection.execute(
        _DUE,
        {
            "to": to, "now": now, "far": now + horizon, "most": limit, "alone": limit == 1,
            "troubled": troubled_first,
        },
    )  # fmt: skip
    return [_delivery(row) for row in rows]


def refused_releases(connection: sa.Connection) -> list[dict[str, str]]:
    """List releases whose manifest cannot be trusted: nothing of them is sent anywhere."""
    query = sa.select(release.c.name, release.c.problem).where(release.c.problem != "")
    rows = connection.execute(query.order_by(release.c.name))
    return [{"release": row.name, "reason": row.problem} for row in rows]


def release_names(connection: sa.Connection) -> frozenset[str]:
    """Give the names of all releases that were seen."""
    return frozenset(connection.execute(sa.select(release.c.name)).scalars())


def is_withdrawn(connection: sa.Connection, study: str) -> bool:
    """Tell whether a person took this study back."""
    return connection.execute(_WITHDRAWN, {"study": study}).first() is not None


def is_taken(connection: sa.Connection, name: str) -> bool:
    """Tell whether a person's decision, by its file's name, has been taken up."""
    query = sa.select(decision.c.name).where(decision.c.name == name)
    return connection.execute(query).first() is not None


def refusal(connection: sa.Connection, name: str) -> str:
    """Say why a person's decision, by its file's name, was refused; "" if it was not."""
    query = sa.select(decision.c.refusal).where(decision.c.name == name)
    return connection.execute(query).scalar() or ""


def timeline(connection: sa.Connection, study: str) -> list[dict[str, Any]]:
    """Tell what happened to a study's deliveries, in order of time."""
    rows = connection.execute(
        sa.select(
            delivery_event.c.at, delivery.c.release, delivery.c.destination,
            delivery_event.c.state, delivery_event.c.answer,
        )
        .join_from(delivery_event, delivery)
        .join(release)
        .where(release.c.study == study)
        .order_by(delivery_event.c.at, delivery_event.c.id)
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name


def as_json(row: Delivery) -> dict[str, Any]:
    """Give a delivery as JSON shows it."""
    return asdict(row)


def _delivery(row: Any) -> Delivery:
    values = dict(row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name
    return Delivery(**{**values, "state": DeliveryState(values["state"])})
