"""What every step of `process` works with, and its transactions."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, insert

from node.config import NodeConfig
from node.inbox.digests import Digests
from node.inbox.layout import Inbox
from node.inbox.tables import event
from node.outbox.layout import Outbox
from node.pixels.variants import Wish
from node.process.clock import SteadyClock
from node.profile.recipe import Recipe

log = structlog.get_logger()
_WRITE_EVENTS = insert(event)


class _Undone(BaseException):
    """The whole transaction is gone; no step that forgives one study may forgive this."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


@dataclass(frozen=True, slots=True)
class Workplace:
    """The zones, the index, the keys and the clock of one run of `process`.

    `recipes` are by the name of their route; `slots` is how many jobs run at a time; `last_seen`
    is the steady time at which the run before was last known to be there.
    """

    config: NodeConfig
    inbox: Inbox
    outbox: Outbox
    index: Engine
    clock: SteadyClock
    digests: Digests
    key_fingerprint: str
    signing_key: Ed25519PrivateKey
    recipes: Mapping[str, Recipe]
    slots: int
    last_seen: float = 0.0

    def wishes(self, route: str) -> tuple[Wish, ...]:
        """Give the `syntaxes` of the route's destinations, without those that take anything."""
        names = next(
            (one.destinations for one in self.config.effective_routes if one.name == route), ()
        )
        wishes = (one.syntaxes for one in self.config.effective_destinations if one.name in names)
        return tuple(dict.fromkeys(wish for wish in wishes if wish))

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Write rows in one transaction; what was told is logged once it is committed."""
        try:
            with self.index.begin() as conn:
                transaction = Transaction(conn, self.clock.now(), time.time())
                yield transaction
                if transaction.events:
                    conn.execute(_WRITE_EVENTS, transaction.events)
        except _Undone as undone:
            raise undone.error from None
        for name, facts in transaction.told:
            log.info(name, **facts)


@dataclass(slots=True)
class Transaction:
    """A transaction of the index, at one moment: `now` is steady time, `wall` is for people."""

    conn: Connection
    now: float
    wall: float
    told: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    #: The releases that receipts name, once somebody asked.
    receipts: set[str] | None = None

    def tell(self, name: str, study: str, **facts: Any) -> None:
        """Write an event of a study into its timeline, and log it after the commit."""
        detail = json.dumps(facts, default=str)
        self.events.append({"study": study, "at": self.wall, "name": name, "detail": detail})
        self.told.append((name, {"study": study, **facts}))

    def log(self, name: str, **facts: Any) -> None:
        """Log an event of no study, or one too frequent for a timeline, after the commit."""
        self.told.append((name, facts))

    @contextmanager
    def part(self) -> Iterator[None]:
        """Do what concerns one study: whole, or not at all where it raises.

        So studies share a transaction, and what goes wrong with one undoes nothing of the others.
        But SQLite undoes all of it where the disk is full: then nothing more is written or told.
        """
        told, events = len(self.told), len(self.events)
        self.conn.exec_driver_sql("SAVEPOINT part")
        try:
            yield
        except BaseException as error:
            if not getattr(self.conn.connection.driver_connection, "in_transaction", True):
                raise _Undone(error) from error
            self.conn.exec_driver_sql("ROLLBACK TO part")
            self.conn.exec_driver_sql("RELEASE part")
            del self.told[told:], self.events[events:]
            raise
        self.conn.exec_driver_sql("RELEASE part")
