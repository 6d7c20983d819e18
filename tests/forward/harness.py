"""A forwarder under a test's control: its ticks, its clock, and what lies in its outbox."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.config import NodeConfig
from node.forward import forwarder as forwarder_module
from node.forward.forwarder import Forwarder
from node.outbox import deliveries, instances
from node.outbox.decisions import DecisionKind, DeliveryDecision, waiting, write_decision
from node.outbox.deliveries import Delivery
from node.outbox.destinations import destinations_overview
from node.outbox.instances import DeliveryInstance
from node.outbox.layout import Outbox
from node.outbox.ledger import open_ledger
from node.outbox.manifest import Manifest
from tests.outbox.releases import make_outbox, make_release

#: Small, so that a test sees many tries.
TIMING = {"retry_first_seconds": 0.01, "retry_max_seconds": 0.02, "timeout_seconds": 10}
#: For tests in which destinations fall silent: each time costs this.
IMPATIENT = {"timeout_seconds": 0.3}


@dataclass(slots=True)
class World:
    """An outbox, its signing key, and the configuration that forward works under."""

    root: Path
    outbox: Outbox
    key: Ed25519PrivateKey
    config: NodeConfig

    def release(self, **wishes: Any) -> Manifest:
        """Make a release for all destinations."""
        names = [each.name for each in self.config.effective_destinations]
        return make_release(self.outbox, self.key, **{"destinations": names, **wishes})

    @contextmanager
    def forwarding(self, *, ledger_was_lost: bool = False) -> Iterator[Forwarder]:
        """Run a forwarder as the role does, ticked by the test."""
        engine = open_ledger(self.outbox.database)
        try:
            with Forwarder.open(self.config, self.outbox, engine) as forwarder:
                forwarder.recover(time.time(), ledger_was_lost=ledger_was_lost)
                yield forwarder
        finally:
            engine.dispose()

    def deliveries(self, study: str | None = None) -> list[Delivery]:
        """Read the ledger as status does."""
        engine = open_ledger(self.outbox.database, readonly=True)
        try:
            with engine.connect() as connection:
                return deliveries.deliveries(connection, study)
        finally:
            engine.dispose()

    def delivery(self) -> Delivery:
        """Give the only delivery there is."""
        (only,) = self.deliveries()
        return only

    def instances(self, number: int) -> list[DeliveryInstance]:
        """Read a delivery's instances."""
        engine = open_ledger(self.outbox.database, readonly=True)
        try:
            with engine.connect() as connection:
                return instances.instances_of(connection, number)
        finally:
            engine.dispose()

    def overview(self) -> list[dict[str, Any]]:
        """Read the overview of destinations."""
        names = [each.name for each in self.config.effective_destinations]
        engine = open_ledger(self.outbox.database, readonly=True)
        try:
            with engine.connect() as connection:
                return destinations_overview(connection, names)
        finally:
            engine.dispose()

    def refused_releases(self) -> list[dict[str, str]]:
        """Read which releases cannot be sent at all, and why."""
        engine = open_ledger(self.outbox.database, readonly=True)
        try:
            with engine.connect() as connection:
                return deliveries.refused_releases(connection)
        finally:
            engine.dispose()

    def receipts(self) -> list[dict[str, Any]]:
        """Read the receipts."""
        return [json.loads(path.read_text()) for path in sorted(self.outbox.receipts.iterdir())]

    def dataset(self, manifest: Manifest, number: int) -> bytes:
        """Give the data set of a released instance, as it must arrive."""
        path = self.outbox.releases / manifest.release / manifest.instances[number].file
        content = path.read_bytes()
        meta_length = int.from_bytes(content[140:144], "little")
        return content[144 + meta_length :]


def make_world(root: Path, destinations: Sequence[dict[str, Any]], **forward: Any) -> World:
    """Make a world with these destinations."""
    root.mkdir(exist_ok=True)
    outbox, key = make_outbox(root)
    config = NodeConfig.model_validate(
        {
            "node": {"data_dir": str(root)},
            "destinations": list(destinations),
            "forward": {**TIMING, **forward},
        }
    )
    return World(root, outbox, key, config)


def dicom_destination(port: int, name: str = "research", **wishes: Any) -> dict[str, Any]:
    """Describe a DICOM destination on this machine."""
    return {
        "type": "dicom", "name": name, "ae_title": "PACS", "host": "127.0.0.1", "port": port,
        "associations": 1, **wishes,
    }  # fmt: skip


def tick_until(forwarder: Forwarder, reached: Callable[[], bool], seconds: float = 120.0) -> None:
    """Tick until something is so; a test fails if it never is."""
    deadline = time.monotonic() + seconds
    forwarder_module.TICK_SECONDS = 0.02
    while not reached():
        assert time.monotonic() < deadline, "it did not happen in time"
        forwarder.tick(time.time(), time.monotonic())


def tick_for(forwarder: Forwarder, seconds: float) -> None:
    """Tick for a while."""
    deadline = time.monotonic() + seconds
    tick_until(forwarder, lambda: time.monotonic() > deadline, seconds + 5)


def is_idle(forwarder: Forwarder) -> bool:
    """Tell whether nothing is under way to any destination."""
    return not any(line.sending for line in forwarder.lines.lines.values())


def pass_time(forwarder: Forwarder, now: float, seconds: float, step: float) -> float:
    """Let the wall clock run by steps; each step ends when no child is under way."""
    forwarder_module.TICK_SECONDS = 0.001
    until = now + seconds
    while now < until:
        forwarder.tick(now, now)
        while not is_idle(forwarder):
            wait(forwarder.lines.pipes(), 0.05)
            forwarder.lines.advance(now, now)
        now += step
    return now


def decide(world: World, kind: str, **about: str) -> None:
    """Write a person's decision."""
    decision = DeliveryDecision(
        DecisionKind(kind), who="tester", when="2026-01-02T03:04:05Z", why="a test", **about
    )
    write_decision(world.outbox.decisions, decision, time.time())


def pause(world: World, forwarder: Forwarder, destination: str = "research") -> None:
    """Pause a destination and wait until that is taken up."""
    decide(world, "pause", destination=destination)
    tick_until(forwarder, lambda: not waiting(world.outbox.decisions))


def resume(world: World, forwarder: Forwarder, destination: str = "research") -> None:
    """Resume it."""
    decide(world, "resume", destination=destination)
    tick_until(forwarder, lambda: not waiting(world.outbox.decisions))
