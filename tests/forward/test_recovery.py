"""After a crash at any point, restart resumes at the instance, not at the study."""

from __future__ import annotations

import os
import signal
from collections import deque
from pathlib import Path

import pytest

from node.forward import recovery, sending, settling
from node.forward.forwarder import Forwarder
from node.outbox.states import DeliveryState
from tests.forward.faults import Fault
from tests.forward.faulty_pacs import FaultyPacs, running
from tests.forward.harness import (
    World,
    decide,
    dicom_destination,
    make_world,
    pause,
    resume,
    tick_until,
)

S = DeliveryState


def _done(world: World) -> bool:
    found = world.deliveries()
    return bool(found) and all(delivery.state is S.DELIVERED for delivery in found)


def _child(forwarder: Forwarder) -> int:
    busy = forwarder.lines.lines["research"].sending
    assert busy is not None
    pid = busy.process.pid
    assert pid is not None
    return pid


def test_a_killed_sender_resumes_at_the_instance(tmp_path: Path) -> None:
    """What was answered is not sent again; what was on its way may be, under the same UID."""
    with running(FaultyPacs(bytes_per_second=6_000)) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release(instances=30)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: world.deliveries() and world.delivery().stored >= 3)
            answered = world.delivery().stored
            os.kill(_child(forwarder), signal.SIGKILL)
            pacs.bytes_per_second = 0
            tick_until(forwarder, lambda: _done(world))
    copies = [len(each) for each in pacs.held.values()]
    assert len(copies) == 30
    assert sum(copy > 1 for copy in copies) <= 30 - answered


def test_a_sender_that_hangs_is_killed(tmp_path: Path) -> None:
    """Whatever holds it, its destination is served again after the wall clock's deadline."""
    with running(FaultyPacs(bytes_per_second=6_000)) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release(instances=10)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: world.deliveries() and world.delivery().stored >= 1)
            hung = forwarder.lines.lines["research"].sending
            assert hung is not None
            os.kill(_child(forwarder), signal.SIGSTOP)
            hung.patience_seconds = 0.3
            tick_until(forwarder, lambda: hung.ending is not None)
            assert hung.ending is sending.KILLED
            pacs.bytes_per_second = 0
            tick_until(forwarder, lambda: _done(world))
    assert len(pacs.held) == 10


def test_a_killed_role_resumes_at_the_instance(tmp_path: Path) -> None:
    """A ledger left in SENDING is taken up: its open instances are sent, the others not."""
    with running(FaultyPacs(bytes_per_second=6_000)) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release(instances=30)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: world.deliveries() and world.delivery().stored >= 3)
            os.kill(_child(forwarder), signal.SIGKILL)
            forwarder.lines.lines["research"].sending = None  # the role dies here
        assert world.delivery().state is S.SENDING
        answered = world.delivery().stored
        pacs.bytes_per_second = 0
        with world.forwarding() as forwarder:
            assert world.delivery().state is S.PENDING
            tick_until(forwarder, lambda: _done(world))
    assert sum(len(each) > 1 for each in pacs.held.values()) <= 30 - answered


def test_a_stopped_sender_finishes_what_is_on_its_way(tmp_path: Path) -> None:
    """A drain sends nothing twice: each instance begun gets its answer first."""
    with running(FaultyPacs(bytes_per_second=6_000)) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port, associations=2)])
        world.release(instances=40)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: len(pacs.held) >= 3)
            forwarder.drain()
            assert world.delivery().state is S.PENDING
            assert world.delivery().stored == len(pacs.held) < 40
        pacs.bytes_per_second = 0
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _done(world))
    assert {len(copies) for copies in pacs.held.values()} == {1}


def test_an_answer_that_was_lost_in_a_crash_is_asked_for_again(tmp_path: Path) -> None:
    """The PACS refuses duplicates: with the intent in the ledger, 0111H settles it."""
    with running(FaultyPacs(store_faults=deque([Fault.SILENT]), refuse_duplicates=True)) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)], timeout_seconds=60)
        world.release(instances=1)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: len(pacs.held) == 1)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _done(world))
    assert [len(copies) for copies in pacs.held.values()] == [1]


def test_a_receipt_that_a_crash_left_unwritten_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Process purges by receipts, so none may be missing."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release()
        with monkeypatch.context() as crash:
            crash.setattr(settling, "give_receipts", lambda *_: None)
            with world.forwarding() as forwarder:
                tick_until(forwarder, lambda: _done(world))
        assert world.receipts() == []
        with world.forwarding():
            assert len(world.receipts()) == 1


def test_recovering_twice_is_recovering_once(tmp_path: Path) -> None:
    """A crash in the middle of recovery is recovered from."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release()
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _done(world))
            for _ in range(2):
                recovery.recover(forwarder.engine, world.outbox, forwarder.destinations, 1.0)
            assert _done(world)
            assert len(world.receipts()) == 1


def test_a_release_whose_manifest_is_not_ours_is_never_sent(tmp_path: Path) -> None:
    """It is told once, stops nothing else, and is looked at again at the next start."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        made = world.release(study=1)
        stranger = make_world(tmp_path / "elsewhere", [dicom_destination(pacs.port)])
        forged = stranger.release(study=2)
        (stranger.outbox.releases / forged.release).rename(world.outbox.releases / forged.release)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: bool(world.receipts()))
            assert world.refused_releases()[0]["release"] == forged.release
        assert set(pacs.held) == {entry.sop_instance_uid for entry in made.instances}


def test_a_destination_that_left_the_configuration_is_told(tmp_path: Path) -> None:
    """Its deliveries do not wait in silence; back in the configuration, a person retries them."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        made = world.release()
        with world.forwarding() as forwarder:
            pause(world, forwarder)
            tick_until(forwarder, lambda: bool(world.deliveries()))
        whole = world.config
        world.config = whole.model_copy(update={"destinations": ()})
        with world.forwarding():
            assert world.delivery().state is S.REFUSED
            assert "no such destination" in world.delivery().last_answer
        world.config = whole
        with world.forwarding() as forwarder:
            resume(world, forwarder)
            decide(world, "retry", study=made.study)
            tick_until(forwarder, lambda: _done(world))
