"""Requests for commitment on their way, one child process per destination, and what comes back."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.config import DicomDestination, Forward
from node.forward import committing
from node.forward.backoff import is_closed, next_delay
from node.forward.batch import Reaction
from node.forward.commitment import Declined, Heard, Result
from node.forward.sending import Sending
from node.outbox import ledger
from node.outbox.deliveries import Delivery
from node.outbox.destinations import destination_row
from node.outbox.layout import Outbox


@dataclass(slots=True)
class Questions:
    """Asks destinations for commitment; used from the main thread of the role."""

    engine: sa.Engine
    outbox: Outbox
    timing: Forward
    context: ForkServerContext
    destinations: Sequence[DicomDestination]
    asking: dict[str, Sending] = field(default_factory=dict)
    #: Results that came by the forwarder's own port.
    heard: queue.SimpleQueue[Heard] = field(default_factory=queue.SimpleQueue)
    #: Called with what a result was about, once that is in the ledger.
    settled: Callable[[Sequence[Delivery], float], None] = lambda _deliveries, _now: None

    def pipes(self) -> list[Connection]:
        """Give what becomes readable when a child says something."""
        return [sending.pipe for sending in self.asking.values()]

    def start_due(self, key: Ed25519PublicKey, now: float, monotonic: float) -> None:
        """Ask each destination that has delivered and not yet committed."""
        for destination in self.destinations:
            if destination.name in self.asking or self._is_closed(destination.name, now):
                continue
            with self.engine.begin() as connection:
                question = committing.take_question(
                    connection, self.outbox, key, destination, self.timing, now
                )
            if question is not None:
                self.asking[destination.name] = Sending.start(self.context, question, monotonic)

    def advance(self, key: Ed25519PublicKey, now: float, monotonic: float) -> None:
        """Take what children have said, and end those that are done."""
        for name, sending in list(self.asking.items()):
            if sending.ending is None and sending.is_overdue(monotonic):
                sending.kill()
            for message in sending.listen(monotonic):
                if isinstance(message, Result):
                    self._take_result(message, key, now)
                elif isinstance(message, Declined):
                    with self.engine.begin() as connection:
                        committing.decline(connection, message, now)
            if sending.ending is not None:
                sending.close()
                del self.asking[name]
                if sending.ending.reaction is not Reaction.STORED:
                    self._back_off(name, sending.ending.text, now)

    def take_results(self, key: Ed25519PublicKey, now: float) -> None:
        """Write results that came by the forwarder's own port; the peer waits for it."""
        while True:
            try:
                each = self.heard.get_nowait()
            except queue.Empty:
                return
            each.is_ours = self._take_result(each.result, key, now, each.destinations)
            each.taken.set()

    def kill_all(self) -> None:
        """End all children now; what was asked is asked again later."""
        for sending in self.asking.values():
            sending.kill()
            sending.close()
        self.asking.clear()

    def _take_result(
        self,
        result: Result,
        key: Ed25519PublicKey,
        now: float,
        destinations: Iterable[str] | None = None,
    ) -> bool:
        among = None if destinations is None else frozenset(destinations)
        with self.engine.begin() as connection:
            delivery = committing.settle_result(
                connection, self.outbox, key, result, self.timing, now, among
            )
        if delivery is not None:
            self.settled([delivery], now)
        return delivery is not None

    def _is_closed(self, name: str, now: float) -> bool:
        with self.engine.connect() as connection:
            row = destination_row(connection, name)
        return is_closed(row, now, self.timing.retry_max_seconds)

    def _back_off(self, name: str, text: str, now: float) -> None:
        """Leave a destination alone that could not be asked; its deliveries are asked for again."""
        with self.engine.begin() as connection:
            failures = destination_row(connection, name).failures + 1
            delay = next_delay(
                failures, self.timing.retry_first_seconds, self.timing.retry_max_seconds
            )
            ledger.set_destination(
                connection, name, failures=failures, next_attempt_at=now + delay,
                last_answer=text, last_answer_at=now,
            )  # fmt: skip
