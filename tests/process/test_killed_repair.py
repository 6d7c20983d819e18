"""`verify --repair` killed at each of its steps: the next one finishes what it began."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from node.status.verify import verify_node
from tests.factories import make_instance
from tests.process.conftest import Door


def repair(door: Door, config: Path, **environment: str) -> int:
    """Run the command on a node's folder."""
    done = subprocess.run(
        [sys.executable, "-m", "node", "verify", "--repair", "-c", str(config)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert door.inbox.database.parent.is_dir()
    return done.returncode


def lose_rows(door: Door) -> None:
    """Remove the index, and the originals of the first study, as retention does in time."""
    for path in door.inbox.database.parent.iterdir():
        path.unlink()
    first = min(path.name.partition("-")[0] for path in door.outbox.releases.iterdir())
    shutil.rmtree(door.inbox.studies / first, ignore_errors=True)


def test_a_repair_that_is_killed_at_any_step_is_finished_by_the_next(
    door: Door, tmp_path: Path
) -> None:
    """It dies before each of its commits and at each step of a file, then runs through."""
    for study in (1, 2):
        door.arrive(make_instance(study=study), make_instance(study=study, instance=2))
        door.settle()
    counted = door.conservation()
    door.close()
    config = tmp_path / "node.toml"
    config.write_text(f'[node]\ndata_dir = "{door.config.node.data_dir}"\n')
    trace = tmp_path / "trace"
    lose_rows(door)
    assert repair(door, config, DEID_NODE_FAILPOINT_TRACE=str(trace)) == 0
    points = Counter(line for line in trace.read_text().splitlines() if "audit" not in line)
    assert any(point.startswith("before commit in index") for point in points)
    for point, times in points.items():
        for number in range(1, times + 1):
            lose_rows(door)
            assert repair(door, config, DEID_NODE_FAILPOINT=f"{point}@{number}") == -9
            assert repair(door, config) == 0
            assert verify_node(door.config) == []
    door.open()
    states = {row.state: row.received for row in door.studies()}
    assert states == {"RELEASED": 2, "HELD": 2}, "what is purged, and what has originals"
    assert door.conservation()["received"] == counted["received"] == 4
