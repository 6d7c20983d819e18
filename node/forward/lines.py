"""One line per destination: its turns in a process of its own, independent of all other lines.

The process of a turn that ended in order stays for a while, for the turns that follow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext

import sqlalchemy as sa
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.config import Destination, Forward
from node.forward import settling, turn
from node.forward.backoff import horizon, is_closed
from node.forward.batch import Answer, Batch
from node.forward.child import Parcel
from node.forward.manifests import Manifests
from node.forward.order import Order
from node.forward.sending import Sending
from node.forward.turn import Turn
from node.outbox.deliveries import Delivery
from node.outbox.destinations import destination_row
from node.outbox.layout import Outbox

PROGRESS_SECONDS = 1.0
#: How long a process without work is kept.
IDLE_SECONDS = 5.0
log = structlog.get_logger()


@dataclass(slots=True)
class Line:
    """A destination and what is being sent to it now."""

    destination: Destination
    turn: Turn | None = None
    sending: Sending | None = None
    order: Order = field(default_factory=Order)
    #: The process that waits for the next turn, and since when, on the monotonic clock.
    idle: Sending | None = None
    idle_since: float = 0.0
    #: When its progress was last logged, on the monotonic clock.
    told_at: float = 0.0

    def start(self, context: ForkServerContext, batch: Batch, monotonic: float) -> None:
        """Give a batch to the process that waits for one, or to a new one."""
        self.sending, self.idle = self.idle, None
        if self.sending:
            self.sending.give(batch, monotonic)
        else:
            self.sending = Sending.start(context, batch, monotonic)

    def rest(self, monotonic: float) -> None:
        """Keep the process of a turn that is over, or see it end before anything else is sent."""
        sending, self.turn, self.sending = self.sending, None, None
        if sending and sending.stays:
            self.idle, self.idle_since = sending, monotonic
        elif sending:
            sending.close()

    def dismiss(self) -> None:
        """End the process that waits for a turn."""
        if self.idle:
            self.idle.close()
            self.idle = None


@dataclass(slots=True)
class Lines:
    """All destinations' lines; used from the main thread of the role."""

    engine: sa.Engine
    outbox: Outbox
    timing: Forward
    context: ForkServerContext
    lines: dict[str, Line] = field(default_factory=dict)
    manifests: Manifests = field(default_factory=Manifests)
    #: Called with what has just been delivered, in the wake of its transaction.
    delivered: Callable[[Sequence[Delivery], float], None] = lambda _deliveries, _now: None

    def pipes(self) -> list[Connection]:
        """Give what becomes readable when a child says something."""
        return [line.sending.pipe for line in self._busy() if line.sending]

    def advance(self, now: float, monotonic: float) -> None:
        """Take what children have said, and end the turns that are over."""
        for line in self._busy():
            self._advance(line, now, monotonic)
        for line in self.lines.values():
            if line.idle and (line.idle.is_gone() or monotonic - line.idle_since > IDLE_SECONDS):
                line.dismiss()

    def start_due(self, key: Ed25519PublicKey, now: float, monotonic: float) -> None:
        """Start a turn on each line that is idle and has something due."""
        for line in self.lines.values():
            if line.sending is None:
                self._start(line, key, now, monotonic)

    def stop_sending(self, names: frozenset[str] | None = None) -> bool:
        """Ask turns to end, of all lines or of some; tell whether none of them is under way."""
        asked = [line for line in self._busy() if names is None or line.destination.name in names]
        for line in asked:
            if line.sending:
                line.sending.ask_to_stop()
        return not asked

    def kill_all(self, now: float, monotonic: float) -> None:
        """End all turns now, and all processes."""
        for line in self._busy():
            if line.sending:
                line.sending.kill()
        self.advance(now, monotonic)
        for line in self.lines.values():
            line.dismiss()

    def _busy(self) -> list[Line]:
        return [line for line in self.lines.values() if line.sending]

    def _start(self, line: Line, key: Ed25519PublicKey, now: float, monotonic: float) -> None:
        with self.engine.connect() as connection:
            due = self._due(connection, line, now)
            if not due:
                return
            # Where a person retried what had only been doubted, nothing is left to send.
            done = [
                settling.settle_complete(connection, delivery, now)
                for delivery in due
                if delivery.stored == delivery.total
            ]
            line.turn = turn.take_turn(
                connection, self.outbox, self.manifests, key, line.destination,
                [delivery for delivery in due if delivery.stored < delivery.total], now,
                self.timing.timeout_seconds,
            )  # fmt: skip
            connection.commit()
        self.delivered(done, now)
        if line.turn:
            line.start(self.context, line.turn.batch, monotonic)

    def _due(self, connection: sa.Connection, line: Line, now: float) -> list[Delivery]:
        name, longest = line.destination.name, self.timing.retry_max_seconds
        row = destination_row(connection, name)
        if is_closed(row, now, longest):
            return []
        probe = row.failures > 0  # on one association until it has an answer
        return line.order.next(connection, name, now, horizon(longest), probe=probe)

    def _advance(self, line: Line, now: float, monotonic: float) -> None:
        sending, current = line.sending, line.turn
        if sending is None or current is None:
            return
        if sending.ending is None and sending.is_overdue(monotonic):
            sending.kill()
        answers: list[Answer] = []
        for parcel in sending.listen(monotonic):
            assert isinstance(parcel, Parcel)  # noqa: S101 -- what a batch's child says
            current.note_begun(parcel.begun)
            answers += parcel.answers
        ending = sending.ending
        if ending is not None:
            line.rest(monotonic)
        elif not answers:
            return
        with self.engine.begin() as connection:
            turn.record(connection, current, answers)
            done = settling.settle_answered(connection, current, now)
            if ending is not None:
                settling.settle_end(
                    connection, current, ending, self.timing, now, in_order=sending.in_order
                )
        self.delivered(done, now)
        if ending is None and monotonic - line.told_at > PROGRESS_SECONDS:
            line.told_at = monotonic
            log.info(
                "delivery_progress", destination=line.destination.name, done=current.stored,
                total=len(current.places),
            )  # fmt: skip
