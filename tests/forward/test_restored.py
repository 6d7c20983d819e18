"""A ledger that was lost, or restored from an older copy: nothing goes out in another version."""

from __future__ import annotations

import shutil
from pathlib import Path

from node.outbox.states import DeliveryState
from tests.forward.faulty_pacs import FaultyPacs, running
from tests.forward.harness import (
    World,
    decide,
    dicom_destination,
    make_world,
    pause,
    tick_for,
    tick_until,
)

S = DeliveryState


def _done(world: World) -> bool:
    found = world.deliveries()
    return bool(found) and all(delivery.state is S.DELIVERED for delivery in found)


def _states(world: World) -> dict[str, DeliveryState]:
    return {delivery.release: delivery.state for delivery in world.deliveries()}


def test_a_lost_ledger_is_rebuilt_from_receipts_and_decisions(tmp_path: Path) -> None:
    """What has a receipt is not sent again, what was abandoned stays so, the rest is unknown."""
    with running(FaultyPacs(refuse_duplicates=True)) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        first, second, third = (world.release(study=n, instances=2) for n in (1, 2, 3))
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _done(world))
        for path in tmp_path.glob("outbox/db/ledger*"):
            path.unlink()
        # As if the second's receipt had not been written yet, and the third had been given up.
        (world.outbox.receipts / f"{second.release}--research.json").unlink()
        (world.outbox.receipts / f"{third.release}--research.json").unlink()
        decide(world, "abandon", study=third.study)
        (decided,) = world.outbox.decisions.glob("*.json")
        (world.outbox.decisions / "applied").mkdir(exist_ok=True)
        decided.rename(world.outbox.decisions / "applied" / decided.name)
        pacs.asked.clear()
        with world.forwarding(ledger_was_lost=True) as forwarder:
            tick_until(forwarder, lambda: len(world.receipts()) == 2)
    states = {delivery.release: delivery.state for delivery in world.deliveries()}
    assert states == {
        first.release: S.DELIVERED, second.release: S.DELIVERED, third.release: S.ABANDONED,
    }  # fmt: skip
    assert set(pacs.asked) == {entry.sop_instance_uid for entry in second.instances}


def test_a_withdrawn_study_stays_withdrawn_when_the_rebuilding_of_its_ledger_is_cut_off(
    tmp_path: Path,
) -> None:
    """The start after that one finds a ledger, and still hears what was decided before."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        made = world.release()
        decide(world, "withdraw", study=made.study)
        (decided,) = world.outbox.decisions.glob("*.json")
        (world.outbox.decisions / "applied").mkdir(exist_ok=True)
        decided.rename(world.outbox.decisions / "applied" / decided.name)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: bool(world.deliveries()))
            tick_for(forwarder, 0.5)
        assert world.delivery().state is S.WITHDRAWN
        assert not pacs.held


def _restore(world: World, copy: Path) -> None:
    """Put an older copy of the ledger where the ledger is."""
    folder = world.outbox.database.parent
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)


def test_an_older_ledger_is_brought_up_to_what_was_delivered_since(tmp_path: Path) -> None:
    """Receipts settle what was open in the copy, and what the copy never saw.

    What was sent and had no receipt yet is sent again, and its 0111H understood.
    """
    with running(FaultyPacs(refuse_duplicates=True)) as pacs:
        world = make_world(tmp_path / "world", [dicom_destination(pacs.port)])
        open_then, unfinished = (world.release(study=n, instances=2) for n in (1, 2))
        with world.forwarding() as forwarder:
            pause(world, forwarder)
            tick_until(forwarder, lambda: len(world.deliveries()) == 2)
        shutil.copytree(world.outbox.database.parent, tmp_path / "copy")
        unseen = world.release(study=3, instances=2)
        with world.forwarding() as forwarder:
            decide(world, "resume", destination="research")
            tick_until(forwarder, lambda: len(world.receipts()) == 3)
        (world.outbox.receipts / f"{unfinished.release}--research.json").unlink()
        _restore(world, tmp_path / "copy")
        pacs.asked.clear()
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: len(world.receipts()) == 3)
    assert _states(world) == dict.fromkeys(
        (open_then.release, unfinished.release, unseen.release), S.DELIVERED
    )
    assert set(pacs.asked) == {entry.sop_instance_uid for entry in unfinished.instances}
    assert {len(copies) for copies in pacs.held.values()} == {1}


def test_an_older_ledger_lets_no_second_version_out(tmp_path: Path) -> None:
    """It never saw the first version go; the receipt of that did."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path / "world", [dicom_destination(pacs.port)])
        with world.forwarding() as forwarder:
            tick_for(forwarder, 0.05)
        shutil.copytree(world.outbox.database.parent, tmp_path / "copy")
        first = world.release(study=1, generation=1, rows=16)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: len(world.receipts()) == 1)
        _restore(world, tmp_path / "copy")
        second = world.release(study=1, generation=2, series=1, rows=17)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: S.REFUSED in _states(world).values())
    assert _states(world) == {first.release: S.DELIVERED, second.release: S.REFUSED}
    assert {len(copies) for copies in pacs.held.values()} == {1}


def test_a_redelivery_that_a_crash_cut_off_is_not_taken_for_an_older_ledger(
    tmp_path: Path,
) -> None:
    """The receipt goes first, so an open delivery without one is sent."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        made = world.release(instances=1)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _done(world))
            pause(world, forwarder)
            decide(world, "redeliver", study=made.study)
            tick_until(forwarder, lambda: world.delivery().state is S.PENDING)
        with world.forwarding() as forwarder:
            decide(world, "resume", destination="research")
            tick_until(forwarder, lambda: _done(world))
    assert [len(copies) for copies in pacs.held.values()] == [2]
