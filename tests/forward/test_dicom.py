"""Sending to a PACS by C-STORE: contexts, associations, and whose instance is whose."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest
from pydicom.uid import JPEG2000, ExplicitVRLittleEndian

from node.outbox.states import DeliveryState
from tests.forward.faults import Fault
from tests.forward.faulty_pacs import FaultyPacs, running
from tests.forward.harness import (
    World,
    dicom_destination,
    is_idle,
    make_world,
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
            tick_until(forwarder, lambda: _settled(world, S.DELIVERED) and is_idle(forwarder))
    assert {len(copies) for copies in pacs.held.values()} == {1}
    assert world.overview()[0]["deferred_until"] is None


def test_a_slow_pacs_gets_there(tmp_path: Path) -> None:
    """One kilobyte a second is slow, not dead."""
    with running(FaultyPacs(bytes_per_second=1024)) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)], timeout_seconds=10)
        world.release(instances=1, rows=40)  # five seconds
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _settled(world, S.DELIVERED))
    assert pacs.associations == 1


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


@pytest.mark.parametrize("fault", [Fault.REJECT_CALLING, Fault.REJECT_CALLED])
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
            timeout_seconds=600,
        )
        world.release(instances=3)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: bool(world.receipts()))
    assert world.receipts()[0]["destination"] == "sound"
