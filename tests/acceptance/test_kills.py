"""SIGKILL of anything loses nothing that was acknowledged, and the work goes on."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.acceptance.running_node import running_node
from tests.factories import make_instance
from tests.peers import research_pacs, send

pytestmark = [pytest.mark.acceptance, pytest.mark.crash]


@pytest.mark.parametrize("role", ["receive", "process", "forward"])
def test_a_role_that_is_killed_while_studies_flow_comes_back_and_finishes(
    tmp_path: Path, role: str
) -> None:
    """The supervisor starts it again; it finds its work in the folders and rows."""
    with research_pacs(tmp_path / "pacs") as pacs, running_node(tmp_path, pacs.port) as node:
        assert set(send([make_instance(1, instance=n) for n in range(1, 31)], node.port)) == {0}
        victim = node.role_pid(role)
        node.wait_until(lambda status: status["conservation"]["received"] == 30, "receipt")
        time.sleep(random.Random(role).uniform(0.5, 1.5))
        os.kill(victim, signal.SIGKILL)
        node.wait_until(lambda _status: not Path(f"/proc/{victim}").exists(), "its end")
        node.wait_started()
        assert node.role_pid(role) != victim
        assert set(send([make_instance(2, instance=n) for n in range(1, 6)], node.port)) == {0}
        status = node.wait_settled(received=35)
        assert status["conservation"]["released"] == 35
        assert len({str(d.SOPInstanceUID) for d in pacs.datasets()}) == 35


def test_the_whole_tree_killed_at_random_loses_no_acknowledged_instance(tmp_path: Path) -> None:
    """Five power cuts (as far as processes go) while studies flow; each image arrives once."""
    chance = random.Random(2026)
    acknowledged = 0
    with research_pacs(tmp_path / "pacs") as pacs:
        for life in range(1, 6):
            with running_node(tmp_path, pacs.port) as node:
                images = [make_instance(life, instance=n) for n in range(1, 11)]
                acknowledged += send(images, node.port).count(0x0000)
                time.sleep(chance.uniform(0.0, 2.5))
                node.kill_tree()
        with running_node(tmp_path, pacs.port) as node:
            status = node.wait_settled(received=acknowledged)
            assert status["conservation"]["released"] == acknowledged == 50
        assert len({str(d.SOPInstanceUID) for d in pacs.datasets()}) == 50
