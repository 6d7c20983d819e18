"""What a research PACS refuses stays with us until a person gives it up."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.outbox.decisions import DecisionKind, DeliveryDecision, waiting, write_decision
from node.outbox.states import DeliveryState
from node.process import housekeeping
from tests.factories import make_instance
from tests.forward.faulty_pacs import FaultyPacs, running
from tests.forward.harness import TIMING, World, dicom_destination, tick_until
from tests.process.conftest import Door

DAY = 86400.0
#: PS3.7 C.5.13: Refused: SOP Class Not Supported.
REFUSED = 0x0122


@pytest.fixture(autouse=True)
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep house at every tick."""
    monkeypatch.setattr(housekeeping, "RETENTION_SECONDS", 0.0)


@dataclass
class Site:
    """A node whose research PACS refuses the first instance that it is sent, and no other."""

    door: Door
    world: World

    def files(self) -> tuple[int, int]:
        """Count the originals and the released files on disk."""
        released = self.door.outbox.releases.glob("*/*.dcm")
        return len(list(self.door.inbox.studies.glob("*/*.dcm"))), len(list(released))

    def forward(self, state: DeliveryState) -> None:
        """Run the real forwarder until every decision is heard and the delivery is in a state."""

        def reached() -> bool:
            states = [one.state for one in self.world.deliveries()]
            return states == [state] and not waiting(self.world.outbox.decisions)

        with self.world.forwarding() as forwarder:
            tick_until(forwarder, reached)

    def decide(self, kind: DecisionKind) -> None:
        """Decide about the delivery, as a person does after it was refused."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 2))
        study = self.door.study().study
        decision = DeliveryDecision(kind=kind, who="o", when=when, study=study)
        write_decision(self.world.outbox.decisions, decision, time.time())


@pytest.fixture
def site(server_of_senders: None, make_door: Callable[..., Door]) -> Iterator[Site]:  # noqa: ARG001
    """Release a study of two instances, of which one is refused."""
    with running(FaultyPacs(store_faults=deque([REFUSED]))) as pacs:
        door = make_door(
            routes=[{"name": "trial", "destinations": ["research"]}],
            destinations=[dicom_destination(pacs.port)],
            forward=TIMING,
            completion={"quiet_seconds": 10, "max_seconds": 1000},
        )
        root = Path(door.config.node.data_dir)
        site = Site(door, World(root, door.outbox, Ed25519PrivateKey.generate(), door.config))
        door.arrive(make_instance(instance=1), make_instance(instance=2))
        door.settle()
        site.forward(DeliveryState.REFUSED)
        assert (site.world.delivery().stored, site.world.delivery().refused) == (1, 1)
        yield site


def test_a_refused_delivery_keeps_every_file_until_a_person_abandons_it(site: Site) -> None:
    """One of two instances was refused: nothing goes, however long ago; then all goes."""
    site.door.tick(2, seconds=1000 * DAY)
    assert site.files() == (2, 2)
    site.decide(DecisionKind.ABANDON)
    site.forward(DeliveryState.ABANDONED)
    site.door.tick(2)
    assert site.files() == (0, 0)
    assert "originals_purged" in site.door.events()


def test_a_refused_delivery_that_is_taken_later_frees_its_files_in_time(site: Site) -> None:
    """The other way out: the site mends its PACS, and a person has it sent again."""
    site.decide(DecisionKind.RETRY)
    site.forward(DeliveryState.DELIVERED)
    site.door.tick(2)
    assert site.files() == (2, 2)
    site.door.tick(2, seconds=1000 * DAY)
    assert site.files() == (0, 0)
