"""Any role, or all of them, killed at any moment: `make crash` does it a thousand times."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests.crash.harness import ROLES, CrashNode, crash_node
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
#: So many rounds has a node's life: `verify` looks at all that it has, after each kill.
ROUNDS = 5


def test_killed_a_thousand_times_it_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Roles and the whole tree die at random while studies flow; the seed is in the failure."""
    seed = int(os.environ.get("DEID_NODE_SEED", str(time.time_ns() % 2**32)))
    print(f"DEID_NODE_SEED={seed}")  # noqa: T201 -- to run it again
    chance = random.Random(seed)
    for life in range(0, KILLS, ROUND * ROUNDS):
        with crash_node(tmp_path / str(life), tmp_path / "compiled") as node:
            for number in range(min(ROUNDS, (KILLS - life) // ROUND)):
                kill_at_random(node, chance, first=number * ROUND + 1)
                node.wait_for_arrival(3 * (number + 1) * ROUND)
                node.check()


def kill_at_random(node: CrashNode, chance: random.Random, first: int) -> None:
    """Send a study, kill, and verify, a round long."""
    for patient in range(first, first + ROUND):
        node.send([make_instance(patient, instance=n) for n in range(1, 4)])
        time.sleep(chance.uniform(0.0, 1.0))
        if chance.random() < 1 / 4:
            node.kill_all()
        else:
            node.kill(chance.choice(ROLES))
        node.keep_alive()
        node.verify()
