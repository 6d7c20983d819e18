"""What a PACS answers to a C-STORE, and what we do about it."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest

from node.forward.batch import Reaction
from node.forward.outcomes import outcome_of
from node.outbox.states import DeliveryState, InstanceState
from tests.forward.faults import WARNINGS, Fault
from tests.forward.faulty_pacs import FaultyPacs, running
from tests.forward.harness import (
    World,
    dicom_destination,
    make_world,
    resume,
    tick_until,
)

S = DeliveryState


def _settled(world: World, *states: DeliveryState) -> bool:
    found = world.deliveries()
    return bool(found) and all(delivery.state in states for delivery in found)


@pytest.mark.parametrize("status", WARNINGS)
def test_a_warning_is_stored_and_remembered(tmp_path: Path, status: int) -> None:
    """The destination has it; what it remarked stands in the delivery's last answer."""
    with running(FaultyPacs(store_faults=deque([status]))) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release(instances=2)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _settled(world, S.DELIVERED))
    assert f"1 of 2: {status:04X}H" in world.delivery().last_answer


@pytest.mark.parametrize("status", [0xA900, 0x0117, 0x0122])
def test_what_will_not_pass_waits_for_a_person(tmp_path: Path, status: int) -> None:
    """One instance is refused, the others go; the delivery is REFUSED and gives no receipt."""
    with running(FaultyPacs(store_faults=deque([status]))) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release(instances=3)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _settled(world, S.REFUSED))
    found = world.delivery()
    assert (found.stored, found.refused) == (2, 1)
    assert f"{status:04X}H" in found.last_answer
    assert len(pacs.held) == 2
    assert world.receipts() == []


def test_a_failure_that_anything_may_be_behind_is_tried_three_times(tmp_path: Path) -> None:
    """Cxxx, and statuses that the standard does not know: three tries, then a person."""
    with running(FaultyPacs(store_faults=deque([0xC123, 0xFE00, 0xC123]))) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release(instances=1)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _settled(world, S.REFUSED, S.DELIVERED))
    assert world.delivery().state is S.REFUSED
    assert not pacs.store_faults
    assert not pacs.held


def test_a_duplicate_of_our_own_is_stored(tmp_path: Path) -> None:
    """The answer to our first send was lost: 0111H to the second means that it is there."""
    pacs = FaultyPacs(store_faults=deque([Fault.DROP_AFTER]), refuse_duplicates=True)
    with running(pacs):
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release(instances=1)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _settled(world, S.DELIVERED, S.REFUSED))
    assert world.delivery().state is S.DELIVERED


def test_a_duplicate_of_somebody_else_waits_for_a_person(tmp_path: Path) -> None:
    """0111H to our very first send: other content may lie there under our UID."""
    pacs = FaultyPacs(refuse_duplicates=True)
    with running(pacs):
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        made = world.release(instances=1)
        pacs.keep(made.instances[0].sop_instance_uid, b"somebody else's")
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _settled(world, S.DELIVERED, S.REFUSED))
    assert world.delivery().state is S.REFUSED
    assert "0111H" in world.delivery().last_answer


def test_not_authorised_pauses_the_destination(tmp_path: Path) -> None:
    """0124H is about us, not about the instance; resumed, it is sent without waiting."""
    slow = {"retry_first_seconds": 3600, "retry_max_seconds": 3600}
    with running(FaultyPacs(store_faults=deque([0x0124]))) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)], **slow)
        world.release(instances=2)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: world.overview()[0]["paused"])
            assert "0124H" in world.overview()[0]["last_answer"]
            states = {row.state for row in world.instances(world.delivery().id)}
            assert states == {InstanceState.PENDING}
            resume(world, forwarder)
            tick_until(forwarder, lambda: _settled(world, S.DELIVERED))


def test_out_of_resources_stops_the_rest_at_once(tmp_path: Path) -> None:
    """A full PACS is not offered the remaining instances before the back-off is over."""
    with running(FaultyPacs(store_faults=deque([0xA700] * 20))) as pacs:
        world = make_world(
            tmp_path, [dicom_destination(pacs.port)], retry_first_seconds=60, retry_max_seconds=60
        )
        world.release(instances=20)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _settled(world, S.DEFERRED))
    assert len(pacs.store_faults) == 19
    assert "A700H" in world.delivery().last_answer


@pytest.mark.parametrize(
    ("status", "reaction"),
    [
        (0x0000, Reaction.STORED), (0xB000, Reaction.STORED), (0xB006, Reaction.STORED),
        (0xB007, Reaction.STORED), (0x0107, Reaction.STORED), (0x0116, Reaction.STORED),
        (0xA700, Reaction.RETRY), (0xA7FF, Reaction.RETRY), (0x0110, Reaction.RETRY),
        (0x0213, Reaction.RETRY), (0xA900, Reaction.REFUSE), (0xA9FF, Reaction.REFUSE),
        (0x0117, Reaction.REFUSE), (0x0122, Reaction.REFUSE), (0x0211, Reaction.REFUSE),
        (0x0212, Reaction.REFUSE), (0x0124, Reaction.SUSPEND), (0xC000, Reaction.THREE_TRIES),
        (0xCFFF, Reaction.THREE_TRIES), (0xFE00, Reaction.THREE_TRIES),
        (0x0001, Reaction.THREE_TRIES), (0xA800, Reaction.THREE_TRIES),
        (0xB001, Reaction.THREE_TRIES),
    ],
)  # fmt: skip
def test_each_status_has_its_reaction(status: int, reaction: Reaction) -> None:
    """The outcome table, and fail safe on what the standard does not know."""
    assert outcome_of(status, sent_before=False).reaction is reaction
