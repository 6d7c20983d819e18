"""Sending to a PACS by C-STORE: what it says, and what we do about it."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest
from pydicom.uid import JPEG2000, ExplicitVRLittleEndian

from node.forward.batch import Reaction
from node.forward.outcomes import outcome_of
from node.outbox.states import DeliveryState, InstanceState
from tests.forward.faulty_pacs import WARNINGS, Fault, FaultyPacs, running
from tests.forward.harness import (
    World,
    dicom_destination,
    make_world,
    resume,
    tick_for,
    tick_until,
)
from tests.outbox.releases import release_of_many_classes

S = DeliveryState


def _settled(world: World, *states: DeliveryState) -> bool:
    found = world.deliveries()
    return bool(found) and all(delivery.state in states for delivery in found)


def test_a_study_arrives_as_it_was_released(tmp_path: Path) -> None:
    """Each data set arrives byte for byte, under our AE title, and a receipt says so."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port, calling_ae_title="OURS")])
        made = world.release(instances=5)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: bool(world.receipts()))
    assert pacs.calling == {"OURS"}
    for number, entry in enumerate(made.instances):
        assert pacs.held[entry.sop_instance_uid] == [world.dataset(made, number)]
    (receipt,) = world.receipts()
    assert (receipt["study"], receipt["instances"], receipt["committed"]) == (made.study, 5, False)


def test_a_refused_syntax_names_its_cure(tmp_path: Path) -> None:
    """The rest is stored; the delivery waits for a person, who reads what to configure."""
    with running(FaultyPacs(refused_syntaxes=frozenset({JPEG2000}))) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release(study=1, instances=2, syntax=ExplicitVRLittleEndian)
        world.release(study=2, instances=2, syntax=JPEG2000)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: len(world.deliveries()) == 2 and _settled(
                world, S.DELIVERED, S.REFUSED))  # fmt: skip
    plain, compressed = world.deliveries()
    assert (plain.state, compressed.state) == (S.DELIVERED, S.REFUSED)
    assert "JPEG 2000" in compressed.last_answer
    assert "syntaxes = [" in compressed.last_answer
    assert len(pacs.held) == 2
    assert len(world.receipts()) == 1


def test_a_refused_class_names_its_cure(tmp_path: Path) -> None:
    """A PACS that does not take a class at all is told apart from one that wants a syntax."""
    with running(FaultyPacs(refused_classes=frozenset({"1.2.840.10008.5.1.4.1.1.4"}))) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release(modality="MR")
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _settled(world, S.REFUSED))
    assert "does not take MR Image Storage" in world.delivery().last_answer


def test_more_contexts_than_fit_go_over_several_associations(tmp_path: Path) -> None:
    """An association holds 128 presentation contexts; a release with 150 pairs goes whole."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        made = release_of_many_classes(world.outbox, world.key, 150, ["research"])
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _settled(world, S.DELIVERED))
    assert pacs.associations == 2
    assert len(pacs.held) == len(made.instances) == 150


def test_associations_run_side_by_side(tmp_path: Path) -> None:
    """As many as configured once the first had a good answer."""
    with running(FaultyPacs(bytes_per_second=100_000)) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port, associations=3)])
        world.release(instances=12)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _settled(world, S.DELIVERED))
    assert pacs.most_open == 3


def test_a_pacs_that_takes_one_association_gets_all_over_it(tmp_path: Path) -> None:
    """A further association that is rejected is no failure of the delivery."""
    with running(FaultyPacs(max_associations=1, bytes_per_second=100_000)) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port, associations=3)])
        world.release(instances=6)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _settled(world, S.DELIVERED))
    assert {len(copies) for copies in pacs.held.values()} == {1}
    assert world.overview()[0]["deferred_until"] is None


def test_a_slow_pacs_gets_there(tmp_path: Path) -> None:
    """One kilobyte a second is slow, not dead."""
    with running(FaultyPacs(bytes_per_second=1024)) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)], timeout_seconds=3)
        world.release(instances=1)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _settled(world, S.DELIVERED))
    assert pacs.associations == 1


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


def test_a_connection_that_failed_is_no_earlier_send(tmp_path: Path) -> None:
    """A destination that was away got nothing, so a duplicate there is not ours."""
    pacs = FaultyPacs(association_faults=deque([Fault.CLOSE_ASSOCIATE]), refuse_duplicates=True)
    with running(pacs):
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        made = world.release(instances=1)
        pacs.keep(made.instances[0].sop_instance_uid, b"somebody else's")
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _settled(world, S.DELIVERED, S.REFUSED))
    assert pacs.associations == 2
    assert world.delivery().state is S.REFUSED


@pytest.mark.parametrize("fault", [Fault.REJECT_CALLING])
def test_a_pacs_that_does_not_know_us_is_left_alone(tmp_path: Path, fault: Fault) -> None:
    """A configuration mistake is not knocked at again and again; no instance counts a try."""
    with running(FaultyPacs(association_faults=deque([fault] * 5))) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release(instances=2)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: world.overview()[0]["paused"])
            tick_for(forwarder, 0.3)
    assert pacs.associations == 1
    assert world.delivery().state is S.PENDING
    assert [row.intents for row in world.instances(world.delivery().id)] == [0, 0]
    assert "AE title" in world.overview()[0]["last_answer"]


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


def test_destinations_are_independent(tmp_path: Path) -> None:
    """One that is down, and one that never answers, keep nothing from the third."""
    silent = FaultyPacs(association_faults=deque([Fault.ACCEPT_SILENCE] * 1000))
    with running(silent), running(FaultyPacs()) as sound:
        world = make_world(
            tmp_path,
            [
                dicom_destination(1, "down"),
                dicom_destination(silent.port, "silent"),
                dicom_destination(sound.port, "sound"),
            ],
            timeout_seconds=5,
        )
        world.release(instances=3)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: bool(world.receipts()), seconds=4)
    assert world.receipts()[0]["destination"] == "sound"


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
