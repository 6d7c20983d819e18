"""The steady time, and what jumps of the wall clock do to studies: nothing."""

from __future__ import annotations

import os
import time

import pytest

from node.process.clock import Anchor, start_clock
from tests.factories import make_instance
from tests.process.conftest import Door

DAYS = 40 * 86400.0
LAST = Anchor(boot="one", uptime=100.0, wall=5000.0, steady=7000.0)


@pytest.mark.parametrize(
    ("now", "steady"),
    [
        (Anchor("one", 130.0, 5030.0, 0), 7030.0),
        (Anchor("one", 130.0, 5030.0 + DAYS, 0), 7030.0),
        (Anchor("one", 130.0, 5030.0 - DAYS, 0), 7030.0),
        (Anchor("two", 5.0, 5600.0, 0), 7600.0),
        (Anchor("two", 5.0, 4000.0, 0), 7000.0),
    ],
)
def test_steady_time_goes_on_over_a_restart(now: Anchor, steady: float) -> None:
    """Within a boot the uptime counts; after one the wall clock does, and never backwards."""
    assert start_clock(LAST, now).now() == pytest.approx(steady, abs=0.1)


def test_the_first_start_takes_the_wall_clock() -> None:
    """There is nothing to continue from."""
    assert start_clock(None, LAST).now() == pytest.approx(5000.0, abs=0.1)


@pytest.mark.parametrize("jump", [DAYS, -DAYS])
def test_a_jump_of_the_wall_clock_completes_nothing_early(
    door: Door, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    """Files that are dated 40 days off are as old as the last pass, at most."""
    door.tick()
    names = door.arrive(make_instance())
    path = door.inbox.arrived / f"{names[0]}.dcm"
    os.utime(path, (time.time() + jump, time.time() + jump))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - jump)
    door.tick(5, seconds=1)
    assert door.study().state == "RECEIVING"
    door.tick(5, seconds=4)
    assert door.study().state == "RELEASED"
