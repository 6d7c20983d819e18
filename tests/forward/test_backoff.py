"""A destination that is down is knocked at ever more rarely, and drained when it is back."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest

from node.forward.backoff import horizon, next_delay
from node.outbox.states import DeliveryState
from tests.forward.faults import Fault
from tests.forward.faulty_pacs import FaultyPacs
from tests.forward.harness import World, dicom_destination, make_world, pass_time

S = DeliveryState
HOUR = 3600.0
REAL = {"retry_first_seconds": 30, "retry_max_seconds": HOUR}


def test_delays_double_from_first_to_longest() -> None:
    """30 s, 60 s, 120 s … 1 h, each within ±20 %, and never the same beat."""
    for failures, expected in enumerate((30, 60, 120, 240, 480, 960, 1920, 3600, 3600), start=1):
        delays = [next_delay(failures, 30, HOUR) for _ in range(200)]
        assert 0.8 * expected <= min(delays)
        assert max(delays) <= min(1.2 * expected, horizon(HOUR))
        assert mean(delays) == pytest.approx(expected, rel=0.1)
        assert len(set(delays)) > 1
    assert next_delay(10_000, 30, HOUR) <= horizon(HOUR)


@pytest.fixture
def pacs() -> FaultyPacs:
    """Give a PACS that is down, on a port that will be its own."""
    pacs = FaultyPacs()
    pacs.start()
    return pacs


def _world(tmp_path: Path, pacs: FaultyPacs, associations: int = 3, **timing: float) -> World:
    return make_world(
        tmp_path, [dicom_destination(pacs.port, associations=associations)], **{**REAL, **timing}
    )


def test_down_for_six_hours_then_half_up_then_back(tmp_path: Path, pacs: FaultyPacs) -> None:
    """Nothing is lost, one knock per back-off step, and when it is back all goes, oldest first."""
    # One association, so that there is an order; a silent one costs half a second.
    world = _world(tmp_path, pacs, associations=1, timeout_seconds=0.5)
    port, start = pacs.port, 1_700_000_000.0
    pacs.stop()
    made = [world.release(study=number, instances=2) for number in (2, 1, 3)]
    with world.forwarding() as forwarder:
        now = pass_time(forwarder, start, 6 * HOUR, step=60)
        (overview,) = world.overview()
        assert overview["pending"] == 6
        assert overview["deferred_until"] <= now + horizon(HOUR)
        pacs.association_faults = deque([Fault.ACCEPT_SILENCE] * 100)
        pacs.start(port)
        now = pass_time(forwarder, now, 3 * HOUR, step=60)
        assert 1 <= pacs.associations <= 5
        assert world.overview()[0]["pending"] == 6
        pacs.association_faults.clear()
    patient = world.config.forward.model_copy(update={"timeout_seconds": 60})
    world = replace(world, config=world.config.model_copy(update={"forward": patient}))
    with world.forwarding() as forwarder:
        pass_time(forwarder, now, 1.3 * HOUR, step=60)
    assert [delivery.state for delivery in world.deliveries()] == [S.DELIVERED] * 3
    arrived = [uid for manifest in made for uid in (e.sop_instance_uid for e in manifest.instances)]
    probe = [uid for uid in arrived if uid in list(pacs.held)[:2]]
    rest = [uid for uid in arrived if uid not in probe]
    assert list(pacs.held) == [*probe, *rest], "after the probe, the oldest study first"
    pacs.stop()


def test_back_off_outlasts_a_restart(tmp_path: Path, pacs: FaultyPacs) -> None:
    """A restart does not start knocking from the beginning."""
    world = _world(tmp_path, pacs)
    port, now = pacs.port, 1_700_000_000.0
    pacs.stop()
    world.release()
    with world.forwarding() as forwarder:
        gate = now
        while gate < now + 300:  # until a long wait has just begun
            now = pass_time(forwarder, now, 120, step=60)
            gate = world.overview()[0]["deferred_until"]
    pacs.start(port)
    with world.forwarding() as forwarder:
        pass_time(forwarder, now, gate - now - 20, step=10)
        assert pacs.associations == 0
        pass_time(forwarder, gate, 120, step=30)
    assert world.delivery().state is S.DELIVERED
    pacs.stop()


def test_a_clock_that_is_set_back_does_not_hold_deliveries(
    tmp_path: Path, pacs: FaultyPacs
) -> None:
    """A next attempt 40 days ahead was written by a wrong clock."""
    world = _world(tmp_path, pacs)
    port, now = pacs.port, 1_700_000_000.0
    pacs.stop()
    world.release()
    with world.forwarding() as forwarder:
        pass_time(forwarder, now + 40 * 24 * HOUR, 120, step=60)
        pacs.start(port)
        pass_time(forwarder, now, 60, step=30)
    assert world.delivery().state is S.DELIVERED
    pacs.stop()
