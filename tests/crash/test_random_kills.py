"""Any role, or all of them, killed at any moment: `make crash` does it a thousand times."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests.crash.harness import ROLES, crash_node
from tests.factories import make_instance

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.crash,
    pytest.mark.long,
    pytest.mark.timeout(0),
    # pynetdicom's SCU leaves the socket of a peer that was killed to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
KILLS = int(os.environ.get("DEID_NODE_KILLS", "1000"))
#: After so many kills the node is left in peace until everything has arrived, and checked.
ROUND = 10


def test_killed_a_thousand_times_it_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Roles and the whole tree die at random while studies flow; the seed is in the failure."""
    seed = int(os.environ.get("DEID_NODE_SEED", str(time.time_ns() % 2**32)))
    chance = random.Random(seed)
    print(f"DEID_NODE_SEED={seed}")  # noqa: T201 -- to run it again
    patient = 0
    with crash_node(tmp_path) as node:
        for _ in range(0, KILLS, ROUND):
            for _kill in range(ROUND):
                patient += 1
                node.send([make_instance(patient, instance=n) for n in range(1, 4)])
                time.sleep(chance.uniform(0.0, 1.0))
                if chance.random() < 1 / 4:
                    node.kill_all()
                else:
                    node.kill(chance.choice(ROLES))
                node.keep_alive()
            node.wait_for_arrival(3 * patient)
            node.check()
