"""Whatever the PACS does, each instance is there once in effect, with the manifest's bytes."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from node.forward.outcomes import OUTCOMES
from node.outbox import decisions
from node.outbox.manifest import Manifest
from node.outbox.states import DeliveryState
from tests.forward.faults import ASSOCIATION_FAULTS, STORE_FAULTS, Fault
from tests.forward.faulty_pacs import FaultyPacs, running
from tests.forward.harness import (
    IMPATIENT,
    World,
    decide,
    dicom_destination,
    make_world,
    tick_until,
)

#: Every status of the table, and some that the standard does not know. Not 0111H: a PACS that says
#: so of what it has not is a liar, and test_statuses.py has the true ones.
STATUSES = (*(each for row in OUTCOMES for each in (row.first, row.last)), 0x0001, 0xA800, 0xFE00)


def _faulted_sends(tmp_path: Path, wanted: int, seed: int, seconds: float) -> None:
    chance = random.Random(seed)
    pacs = FaultyPacs(
        store_faults=_some_of((*STORE_FAULTS, *STATUSES), wanted, chance),
        association_faults=_some_of(ASSOCIATION_FAULTS, wanted // 2, chance),
    )
    deadline = time.monotonic() + seconds
    made: list[Manifest] = []
    with running(pacs):
        world = make_world(tmp_path, [dicom_destination(pacs.port, associations=2)], **IMPATIENT)
        with world.forwarding() as forwarder:
            while pacs.store_faults:
                made.append(world.release(study=len(made) + 1, instances=10))
                tick_until(forwarder, lambda: _all_delivered(world, made), seconds)
                assert time.monotonic() < deadline
    for manifest in made:
        for number, entry in enumerate(manifest.instances):
            assert set(pacs.held[entry.sop_instance_uid]) == {world.dataset(manifest, number)}
    assert len(pacs.held) == 10 * len(made)
    assert [receipt["instances"] for receipt in world.receipts()] == [10] * len(made)


def _some_of(faults: Sequence[Fault | int], wanted: int, chance: random.Random) -> deque[Any]:
    """Give each fault at least once, some of them again, and as often none, in any order."""
    some = [
        *faults,
        *chance.choices([*faults, *[Fault.NONE] * len(faults)], k=wanted - len(faults)),
    ]
    chance.shuffle(some)
    return deque(some)


def _all_delivered(world: World, made: list[Manifest]) -> bool:
    """Tell whether all is there; a person resumes and retries what waits for one."""
    found = world.deliveries()
    if not decisions.waiting(world.outbox.decisions):
        if world.overview()[0]["paused"]:
            decide(world, "resume", destination="research")
        for delivery in found:
            if delivery.state is DeliveryState.REFUSED:
                decide(world, "retry", study=delivery.study)
    return len(found) == len(made) and all(d.state is DeliveryState.DELIVERED for d in found)


def test_faulted_sends_leave_each_instance_once(tmp_path: Path) -> None:
    """150 sends with faults of every kind: all instances there, no other bytes under any UID."""
    _faulted_sends(tmp_path, wanted=150, seed=1, seconds=600)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 9))
def test_a_thousand_faulted_sends_leave_each_instance_once(tmp_path: Path, seed: int) -> None:
    """The same, as `make crash` runs it: 7 times 150, each in another order."""
    _faulted_sends(tmp_path, wanted=150, seed=seed, seconds=600)
