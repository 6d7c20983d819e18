"""Each role dies at each durable step, once; nothing is lost, doubled or leaked, and it goes on."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.harness import ROLES, CrashNode, crash_node
from tests.factories import make_instance
from tests.starting import PATIENCE

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.crash,
    # pynetdicom's SCU leaves the socket of a peer that was killed to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

#: The points that a study passes, by role; a test below holds this list to what is traced.
POINTS = {
    "receive": (
        "before rename to spool",
        "after rename to spool",
        "before create spool",
        "before fsync spool",
        "before rename to arrived",
        "after rename to arrived@2",
        "before fsync of arrived",
    ),
    "process": (
        *(f"before commit in index@{number}" for number in (4, 5, 6, 7, 8, 9, 10)),
        "before rename to studies@2",
        "after rename to studies",
        "before fsync of studies",
        "before fsync of arrived",
        "before fsync staging@2",
        "before create staging",
        "before rename to staging@2",
        "after rename to staging",
        "before fsync of staging",
        "before rename to releases",
        "after rename to releases",
        "before fsync of releases",
    ),
    "forward": (
        *(f"before commit in ledger@{number}" for number in (1, 3, 4, 5)),
        "before create receipts",
        "before fsync receipts",
        "before rename to receipts",
        "after rename to receipts",
        "before fsync of receipts",
    ),
}
#: No instance hangs on these.
#: Points of the audit trail, of the first start and of what warms the fork server up.
BESIDE = ("audit", "keys", "manifest-public.pem", ".part", "its names", "outbox", "inbox", "made")
CASES = [(role, half) for role in ROLES for half in (0, 1)]


@pytest.mark.parametrize(("role", "half"), CASES)
def test_a_role_that_dies_at_any_step_loses_and_doubles_nothing(
    tmp_path: Path, role: str, half: int
) -> None:
    """At each point once: the role is killed there while a study flows, and comes back."""
    with crash_node(tmp_path) as node:
        node.send([make_instance(patient=1)])
        node.wait_for_arrival(1)
        for number, point in enumerate(POINTS[role][half::2], start=2):
            die_at(node, role, point, patient=number)
            node.check()


def die_at(node: CrashNode, role: str, point: str, patient: int) -> None:
    """Let a role die at a point while three instances of a patient go through."""
    once = node.folder / f"died {point}"
    node.kill(role)
    node.start(role, DEID_NODE_FAILPOINT=point, DEID_NODE_FAILPOINT_ONCE=str(once))
    before = len(node.acknowledged)
    node.send([make_instance(patient=patient, instance=number) for number in range(1, 4)])
    node.wait_for_arrival(before + 3)
    deadline = time.monotonic() + PATIENCE
    while not once.exists():
        assert time.monotonic() < deadline, f"{point} was never reached\n{node.log()}"
        time.sleep(0.05)


def test_the_points_are_all_that_a_study_passes(tmp_path: Path) -> None:
    """No durable step between spool and receipt is left out of the list above."""
    with crash_node(tmp_path) as node:
        for role in ROLES:
            node.kill(role)
            node.start(role, DEID_NODE_FAILPOINT_TRACE=str(tmp_path / f"trace-{role}"))
        node.send([make_instance(patient=1, instance=number) for number in range(1, 4)])
        node.wait_for_arrival(3)
        for role in ROLES:
            traced = Counter((tmp_path / f"trace-{role}").read_text().splitlines())
            passed = {name for name in traced if not name.endswith(BESIDE)}
            assert passed == {point.partition("@")[0] for point in POINTS[role]}
