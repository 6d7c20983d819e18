"""Whatever the PACS does, each instance is there once in effect, with the manifest's bytes."""

from __future__ import annotations

import random
import time
from collections import deque
from pathlib import Path

import pytest

from node.outbox.manifest import Manifest
from node.outbox.states import DeliveryState
from tests.forward.faulty_pacs import (
    ASSOCIATION_FAULTS,
    STORE_FAULTS,
    WARNINGS,
    Fault,
    FaultyPacs,
    running,
)
from tests.forward.harness import IMPATIENT, World, dicom_destination, make_world, tick_until

#: Statuses after which the same bytes are sent again.
PASSING = (0xA700, 0xA7FF, 0x0110, 0x0213)


def _faulted_sends(tmp_path: Path, wanted: int, seed: int, seconds: float) -> None:
    chance = random.Random(seed)
    pacs = FaultyPacs(
        store_faults=deque(
            chance.choice([*STORE_FAULTS, *PASSING, *WARNINGS, Fault.NONE, Fault.NONE])
            for _ in range(wanted)
        ),
        association_faults=deque(
            chance.choice([*ASSOCIATION_FAULTS, *[Fault.NONE] * 12]) for _ in range(wanted // 2)
        ),
    )
    deadline = time.monotonic() + seconds
    made: list[Manifest] = []
    with running(pacs):
        world = make_world(tmp_path, [dicom_destination(pacs.port, associations=2)], **IMPATIENT)
        with world.forwarding() as forwarder:
            while pacs.store_faults:
                made.append(world.release(study=len(made) + 1, instances=10))
                tick_until(forwarder, lambda: _all_delivered(world, len(made)), seconds)
                assert time.monotonic() < deadline
    for manifest in made:
        for number, entry in enumerate(manifest.instances):
            assert set(pacs.held[entry.sop_instance_uid]) == {world.dataset(manifest, number)}
    assert len(pacs.held) == 10 * len(made)
    assert [receipt["instances"] for receipt in world.receipts()] == [10] * len(made)


def _all_delivered(world: World, releases: int) -> bool:
    found = world.deliveries()
    return len(found) == releases and all(d.state is DeliveryState.DELIVERED for d in found)


def test_faulted_sends_leave_each_instance_once(tmp_path: Path) -> None:
    """150 sends with faults of every kind: all instances there, no other bytes under any UID."""
    _faulted_sends(tmp_path, wanted=150, seed=1, seconds=100)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_thousand_faulted_sends_leave_each_instance_once(tmp_path: Path) -> None:
    """The same, as `make crash` runs it."""
    _faulted_sends(tmp_path, wanted=1000, seed=2, seconds=800)
