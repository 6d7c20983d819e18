"""A sender lives on between turns, and its association for a moment: as safe as a new one each."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from node.forward import lines
from node.forward.batch import Batch
from node.forward.forwarder import Forwarder
from node.forward.sending import Sending, make_context
from node.outbox.states import DeliveryState
from tests.forward.faulty_pacs import FaultyPacs, running
from tests.forward.hanging import Hanging
from tests.forward.harness import (
    World,
    dicom_destination,
    is_idle,
    make_world,
    pause,
    resume,
    tick_until,
)

S = DeliveryState


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep processes for longer than a slow machine may take from one study to the next."""
    monkeypatch.setattr(lines, "IDLE_SECONDS", 600.0)


def _send(world: World, forwarder: Forwarder, study: int, **wishes: str) -> int:
    """Forward a study, and give the process that did."""
    world.release(study=study, instances=2, **wishes)
    tick_until(forwarder, lambda: len(world.receipts()) == study and is_idle(forwarder))
    idle = forwarder.lines.lines["research"].idle
    assert idle is not None
    assert idle.process.pid is not None
    return idle.process.pid


def _went_well(world: World) -> bool:
    """Tell whether nothing was tried twice."""
    return all(
        (row.intents, row.answer) == (1, "")
        for delivery in world.deliveries()
        for row in world.instances(delivery.id)
    )


def test_studies_that_follow_each_other_go_over_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends when nothing comes for a while, and its association is released in order."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        with world.forwarding() as forwarder:
            assert len({_send(world, forwarder, study) for study in range(1, 6)}) == 1
            monkeypatch.setattr(lines, "IDLE_SECONDS", 0.0)
            tick_until(forwarder, lambda: forwarder.lines.lines["research"].idle is None)
            assert pacs.released == pacs.associations <= 5
        assert _went_well(world)


def test_an_association_is_kept_for_the_next_study(tmp_path: Path) -> None:
    """Two turns of one process within the moment that it is kept go over one association."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        with world.forwarding() as forwarder:
            for study in range(1, 100):  # a machine may be too slow for one of them
                before = pacs.associations
                _send(world, forwarder, study)
                if pacs.associations == before:
                    break
            assert pacs.associations == before
            tick_until(forwarder, lambda: pacs.released == pacs.associations)
        assert _went_well(world)


def test_another_class_goes_over_an_association_of_its_own(tmp_path: Path) -> None:
    """What the association that is open was not asked for is not sent over it."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        with world.forwarding() as forwarder:
            _send(world, forwarder, 1)
            _send(world, forwarder, 2, modality="MR")
        assert pacs.associations >= 2
        assert _went_well(world)


def test_an_association_that_the_destination_has_ended_is_not_used(tmp_path: Path) -> None:
    """A destination may end what is idle: the next study goes over a new one, at once."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        with world.forwarding() as forwarder:
            _send(world, forwarder, 1)
            port = pacs.port
            pacs.stop()
            pacs.start(port)
            _send(world, forwarder, 2)
        assert _went_well(world)


def test_a_process_that_died_idle_is_nobodys_failure(tmp_path: Path) -> None:
    """Nothing was under way: the next study is sent by a new one."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        with world.forwarding() as forwarder:
            first = _send(world, forwarder, 1)
            os.kill(first, signal.SIGKILL)
            tick_until(forwarder, lambda: forwarder.lines.lines["research"].idle is None)
            assert _send(world, forwarder, 2) != first
        assert _went_well(world)


def test_a_turn_that_was_stopped_stops_no_later_one(tmp_path: Path) -> None:
    """A pause ends the turn; after the resume the same process sends the rest."""
    with running(FaultyPacs(bytes_per_second=6_000)) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release(instances=30)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: len(pacs.held) >= 2)
            pause(world, forwarder)
            assert world.delivery().state is S.PENDING
            assert world.delivery().stored == len(pacs.held) < 30
            pacs.bytes_per_second = 0
            resume(world, forwarder)
            tick_until(forwarder, lambda: world.delivery().state is S.DELIVERED)
        assert {len(each) for each in pacs.held.values()} == {1}


def test_a_process_that_leaves_something_running_takes_nothing_more() -> None:
    """What is left of a batch must be gone before another goes to the same destination."""
    batch = Batch(Hanging(), (), 60.0, keep_open=True)  # type: ignore[arg-type]  # a fifth type
    sending = Sending.start(make_context(), batch, 0.0)
    while sending.ending is None:
        sending.pipe.poll(1)
        sending.listen(0.0)
    assert sending.in_order
    assert not sending.stays
    pid = sending.process.pid
    assert pid is not None
    sending.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
