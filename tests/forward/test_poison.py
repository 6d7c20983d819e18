"""What ends its association each time holds nobody else, and is itself not forgotten."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest

from node.forward import backoff, order, turn
from node.forward.batch import Batch
from node.forward.forwarder import Forwarder
from node.forward.turn import Place, Turn
from node.outbox.states import DeliveryState, InstanceState
from tests.factories import SOP_CLASSES
from tests.forward.dicomweb import serving
from tests.forward.faults import Fault
from tests.forward.faulty_pacs import FaultyPacs, running
from tests.forward.harness import World, dicom_destination, make_world, pass_time

S = DeliveryState
HOUR = 3600.0
OUT_OF_RESOURCES = 0xA700
START = 1_700_000_000.0
REAL = {"retry_first_seconds": 30, "retry_max_seconds": HOUR}


@pytest.fixture(autouse=True)
def worst_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what made the trouble be due again at the very moment its destination is."""
    monkeypatch.setattr(backoff, "JITTER", 0.0)


def _world(tmp_path: Path, pacs: FaultyPacs, **destination: int) -> World:
    return make_world(tmp_path, [dicom_destination(pacs.port, **destination)], **REAL)


def _states(world: World) -> list[DeliveryState]:
    return [delivery.state for delivery in world.deliveries()]


@pytest.mark.parametrize("associations", [1, 3])
def test_an_instance_that_kills_its_association_does_not_hold_the_others(
    tmp_path: Path, associations: int
) -> None:
    """It is tried more and more rarely; what came later passes it."""
    with running(FaultyPacs()) as pacs:
        world = _world(tmp_path, pacs, associations=associations)
        poison = world.release(study=1, instances=1).instances[0].sop_instance_uid
        pacs.poison.add(poison)
        with world.forwarding() as forwarder:
            now = pass_time(forwarder, START, 600, step=30)
            for study in range(2, 7):
                world.release(study=study, instances=2)
            # The gate that is closed by then, and a few turns.
            pass_time(forwarder, now, 900, step=30)
            assert _states(world) == [S.DEFERRED] + [S.DELIVERED] * 5
            tried = pacs.asked[poison]
            pass_time(forwarder, now + 900, 2 * HOUR, step=60)
        assert pacs.asked[poison] > tried, "it is not forgotten"


def test_more_such_instances_than_are_looked_at_at_once_hold_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are first in line, and each is due again as soon as the destination is."""
    monkeypatch.setattr(order, "DUE_AT_ONCE", 3)
    with running(FaultyPacs()) as pacs:
        world = _world(tmp_path, pacs)
        for study in range(1, 6):
            pacs.poison.add(world.release(study=study, instances=1).instances[0].sop_instance_uid)
        with world.forwarding() as forwarder:
            now = pass_time(forwarder, START, 2 * HOUR, step=60)
            made = world.release(study=6, instances=2)
            pass_time(forwarder, now, 3 * HOUR, step=60)
        assert set(pacs.held) == {entry.sop_instance_uid for entry in made.instances}
        assert _states(world) == [S.DEFERRED] * 5 + [S.DELIVERED]


def test_a_study_in_the_middle_of_a_turn_does_not_hold_those_behind_it(tmp_path: Path) -> None:
    """The turn ends at it, once; the next one goes without it."""
    with running(FaultyPacs()) as pacs:
        world = _world(tmp_path, pacs)
        made = [world.release(study=study, instances=2) for study in range(1, 8)]
        pacs.poison.add(made[2].instances[0].sop_instance_uid)
        with world.forwarding() as forwarder:
            pass_time(forwarder, START, 120, step=30)
        expected = [S.DELIVERED] * 7
        expected[2] = S.DEFERRED
        assert _states(world) == expected


def test_an_instance_in_the_middle_of_a_study_does_not_hold_the_rest_of_it(tmp_path: Path) -> None:
    """All others of the study are there; this one is tried last from now on."""
    with running(FaultyPacs()) as pacs:
        world = _world(tmp_path, pacs)
        made = world.release(instances=8)
        pacs.poison.add(made.instances[3].sop_instance_uid)
        with world.forwarding() as forwarder:
            pass_time(forwarder, START, 300, step=30)
        assert world.delivery().stored == 7
        assert world.delivery().state is S.DEFERRED


def test_a_steady_stream_of_others_does_not_hold_it_for_ever(tmp_path: Path) -> None:
    """Where somebody else is always due, what had trouble still has its turn."""
    with running(FaultyPacs(store_faults=deque([OUT_OF_RESOURCES]))) as pacs:
        world = _world(tmp_path, pacs)
        world.release(study=1, instances=1)
        with world.forwarding() as forwarder:
            now = pass_time(forwarder, START, 60, step=60)
            assert _states(world) == [S.DEFERRED]
            for study in range(2, 8):
                world.release(study=study, instances=1)
                now = pass_time(forwarder, now, 60, step=60)
        assert world.deliveries()[0].state is S.DELIVERED


def test_a_study_at_whose_sight_the_destination_breaks_down_does_not_hold_the_others(
    tmp_path: Path,
) -> None:
    """No association comes about with it, so nobody can say that it is why; others are probes."""
    with running(FaultyPacs(poison_classes=frozenset({SOP_CLASSES["MR"]}))) as pacs:
        world = _world(tmp_path, pacs)
        world.release(study=1, instances=1, modality="MR")
        for study in (2, 3, 4):
            world.release(study=study, instances=1)
        with world.forwarding() as forwarder:
            pass_time(forwarder, START, 900, step=30)
        assert _states(world) == [S.DEFERRED] + [S.DELIVERED] * 3


def test_a_study_that_gets_on_is_not_held_for_longer_each_time(tmp_path: Path) -> None:
    """A line that drops every few instances brings a study across at the first delay each."""
    drops = [Fault.NONE, Fault.NONE, Fault.DROP_BEFORE] * 6
    with running(FaultyPacs(store_faults=deque(drops))) as pacs:
        world = _world(tmp_path, pacs)
        world.release(instances=12)
        with world.forwarding() as forwarder:
            pass_time(forwarder, START, 7 * 30, step=10)
        assert world.delivery().state is S.DELIVERED


def test_a_study_that_kills_its_sender_does_not_hold_the_others(tmp_path: Path) -> None:
    """Nothing is said by a process that is gone: what it had in hand counts as troubled."""
    with running(FaultyPacs()) as pacs:
        world = _world(tmp_path, pacs)
        made = [world.release(study=study, instances=1) for study in (1, 2, 3)]
        pacs.poison.add(made[0].instances[0].sop_instance_uid)
        with world.forwarding() as forwarder:
            pacs.at_poison = lambda: _kill_sender(forwarder)
            pass_time(forwarder, START, 120, step=30)
        assert _states(world) == [S.DEFERRED, S.DELIVERED, S.DELIVERED]


def _kill_sender(forwarder: Forwarder) -> None:
    sending = forwarder.lines.lines["research"].sending
    assert sending is not None
    sending.process.kill()


def test_a_sender_that_fails_before_it_begins_blames_what_came_first(tmp_path: Path) -> None:
    """Where nothing was begun, the first of the turn is what it was about to take in hand."""
    (destination,) = make_world(tmp_path, [dicom_destination(1)]).config.destinations
    places = tuple(Place(number // 2, f"{number}.dcm", 0) for number in range(6))
    current = Turn(Batch(destination, (), 1.0), places, unanswered={0: set(), 1: {2, 3}, 2: {4, 5}})
    turn.suspect(current)
    assert current.troubled == {1}
    current.note_begun([1, 4])
    current.troubled.clear()
    turn.suspect(current)
    assert current.troubled == {2}


def test_an_instance_that_ends_its_request_does_not_hold_those_beside_it(tmp_path: Path) -> None:
    """By STOW several go together; after a request without an answer each of them goes alone."""
    with serving() as pacs:
        world = make_world(tmp_path, [{"type": "stow", "name": "web", "url": pacs.url}], **REAL)
        made = world.release(instances=4)
        pacs.poison = made.instances[1].sop_instance_uid
        with world.forwarding() as forwarder:
            pass_time(forwarder, START, 300, step=30)
        assert len(pacs.held) == 3
        rows = world.instances(world.delivery().id)
        assert (
            sorted(row.state for row in rows)
            == [InstanceState.INTENDED] + [InstanceState.STORED] * 3
        )
