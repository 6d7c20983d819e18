"""The forwarder: what `forward` does in each tick, over one ledger."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.config import Destination, DicomDestination, NodeConfig
from node.forward import discovery, people, recovery, restored, settling
from node.forward.lines import Line, Lines
from node.forward.questions import Questions
from node.forward.sending import make_context
from node.outbox import decisions, deliveries, ledger
from node.outbox.decisions import DecisionInvalid, DecisionKind
from node.outbox.deliveries import Delivery
from node.outbox.layout import Outbox
from node.outbox.signing import load_public_key

TICK_SECONDS = 0.5
#: How often the folders that others write into are looked at in between.
LOOK_SECONDS = 0.05
#: A drain is over in 30 s: children get this long to finish what is on their way.
DRAIN_SECONDS = 20.0
#: New releases become rows so many in one transaction.
SEEN_AT_ONCE = 50
#: A folder that changed more recently may change again without its time telling.
SETTLED_SECONDS = 2.0
#: What a lost ledger knew of people's decisions is carried out again, but nothing is sent twice.
_CARRIED_OUT_AGAIN = frozenset(
    {DecisionKind.WITHDRAW, DecisionKind.ABANDON, DecisionKind.PAUSE, DecisionKind.RESUME}
)
if TYPE_CHECKING:
    from node.forward.results import Results

log = structlog.get_logger()


@dataclass(slots=True)
class Forwarder:
    """Sees releases, hears people, and keeps a line open to each destination."""

    outbox: Outbox
    engine: sa.Engine
    destinations: dict[str, Destination]
    lines: Lines
    questions: Questions
    results: Results | None = None
    key: Ed25519PublicKey | None = None
    known: set[str] = field(default_factory=set)
    #: When the releases folder had last changed at its last reading, in ns.
    releases_changed: int = -1
    ledger_was_lost: bool = False
    _again: list[Path] = field(default_factory=list)

    @classmethod
    @contextmanager
    def open(cls, config: NodeConfig, outbox: Outbox, engine: sa.Engine) -> Iterator[Forwarder]:
        """Open a line to each destination; at the end nothing is left running."""
        destinations = {each.name: each for each in config.effective_destinations}
        committing = [
            each
            for each in destinations.values()
            if isinstance(each, DicomDestination) and each.commitment
        ]
        context = make_context()
        lines = Lines(
            engine, outbox, config.forward, context,
            {name: Line(each) for name, each in destinations.items()},
        )  # fmt: skip
        questions = Questions(engine, outbox, config.forward, context, committing)
        forwarder = cls(outbox, engine, destinations, lines, questions)
        lines.delivered = questions.settled = forwarder.delivered
        if committing:
            # Only here does this process load what DICOM needs; the senders have their own.
            from node.forward.results import Results  # noqa: PLC0415

            forwarder.results = Results.open(config.forward, committing, questions.heard)
        try:
            yield forwarder
        finally:
            if forwarder.results is not None:
                forwarder.results.close()
            questions.kill_all()
            lines.kill_all(time.time(), time.monotonic())

    def recover(self, now: float, *, ledger_was_lost: bool) -> None:
        """Take up what was left by the run before."""
        recovery.recover(self.engine, self.outbox, self.destinations, now)
        with self.engine.begin() as connection:
            is_behind = restored.catch_up(connection, self.outbox, now)
            # Every one where the ledger was lost, also when the start that noticed it was cut off.
            self._again = [
                path
                for path in decisions.applied(self.outbox.decisions)
                if not deliveries.is_taken(connection, path.name)
            ]
            self.ledger_was_lost = ledger_was_lost or is_behind or bool(self._again)
            if self.ledger_was_lost:
                restored.doubt(connection)
            self.known = set(deliveries.release_names(connection))

    def tick(self, now: float, monotonic: float) -> None:
        """Do what is due, then wait until there is more or a moment is over."""
        before = self._folders_changed()
        if self.key is None and self.outbox.public_key.exists():
            self.key = load_public_key(self.outbox.public_key)
        self.lines.advance(now, monotonic)
        if self.key is not None:
            self.questions.advance(self.key, now, monotonic)
            self.questions.take_results(self.key, now)
            self._see_releases(self.key, now)
            if self._hear_people(now):
                self.lines.start_due(self.key, now, monotonic)
                self.questions.start_due(self.key, now, monotonic)
        self._wait(before)

    def drain(self) -> None:
        """Let children finish the instances that are on their way, and no more."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while not self.lines.stop_sending() and time.monotonic() < deadline:
            wait(self.lines.pipes(), TICK_SECONDS)
            self.lines.advance(time.time(), time.monotonic())

    def delivered(self, some: Sequence[Delivery], now: float) -> None:
        """Write the receipts of deliveries that are where they should end."""
        for_good = [
            delivery
            for delivery in some
            if settling.is_for_good(delivery, self.destinations.get(delivery.destination))
        ]
        settling.give_receipts(self.outbox.receipts, for_good, now)

    def _wait(self, before: tuple[int, ...]) -> None:
        """Wait until a child speaks, a release or a decision appears, or a moment is over."""
        pipes = [*self.lines.pipes(), *self.questions.pipes()]
        until = time.monotonic() + TICK_SECONDS
        while (left := until - time.monotonic()) > 0 and self._folders_changed() == before:
            if wait(pipes, min(left, LOOK_SECONDS)):
                return

    def _folders_changed(self) -> tuple[int, ...]:
        folders = (self.outbox.releases, self.outbox.decisions)
        return tuple(folder.stat().st_mtime_ns for folder in folders)

    def _see_releases(self, key: Ed25519PublicKey, now: float) -> None:
        changed = self.outbox.releases.stat().st_mtime_ns
        if changed == self.releases_changed and now - changed / 1e9 > SETTLED_SECONDS:
            return  # years of releases are not listed twice a second
        self.releases_changed = changed
        new = discovery.new_releases(self.outbox, self.known)
        for start in range(0, len(new), SEEN_AT_ONCE):
            some = new[start : start + SEEN_AT_ONCE]
            with self.engine.begin() as connection:
                for name in some:
                    discovery.add_release(
                        connection, self.outbox, self.lines.manifests, name, key,
                        self.destinations, now, ledger_was_lost=self.ledger_was_lost,
                    )  # fmt: skip
            self.known.update(some)
        self.ledger_was_lost = False

    def _hear_people(self, now: float) -> bool:
        """Take up decisions; False while one waits for its line to stop, so nothing new starts."""
        while self._again:
            self._take_up(self._again[0], now, again=True)
            self._again.pop(0)
        return all(self._take_up(path, now) for path in decisions.waiting(self.outbox.decisions))

    def _take_up(self, path: Path, now: float, *, again: bool = False) -> bool:
        """Carry a decision out, or refuse it; False if something must stop first."""
        refusal = ""
        with self.engine.begin() as connection:
            if not deliveries.is_taken(connection, path.name):
                try:
                    decision = decisions.read_decision(path)
                except DecisionInvalid as error:
                    log.warning("decision_refused", decision=path.stem, reason=str(error))
                    decisions.file_away(path, refused=True)
                    return True
                if again and decision.kind not in _CARRIED_OUT_AGAIN:
                    return True
                busy = people.under_way(connection, decision)
                if busy and not self.lines.stop_sending(busy):
                    return False
                deciding = people.Deciding(connection, self.outbox, self.destinations, now)
                try:
                    with connection.begin_nested():
                        people.carry_out(deciding, decision, path.name)
                    log.info("decision_applied", decision=decision.kind, study=decision.study)
                except people.Refused as refused:
                    refusal = str(refused)
                    log.warning("decision_refused", decision=decision.kind, reason=refusal)
                ledger.take_decision(connection, path.name, decision, now, refusal)
        if not again:
            decisions.file_away(path, refused=bool(refusal))
        return True
