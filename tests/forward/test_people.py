"""What people decide about deliveries: each decision a file, then a row, and nothing lost."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path

import pytest
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless

from node.outbox import decisions
from node.outbox.decisions import DecisionInvalid
from node.outbox.signed import unseal
from node.outbox.signing import load_public_key
from node.outbox.states import DeliveryState, InstanceState
from tests.forward.faulty_pacs import FaultyPacs, running
from tests.forward.harness import (
    World,
    decide,
    dicom_destination,
    make_world,
    pause,
    resume,
    tick_for,
    tick_until,
)

S = DeliveryState


def _heard(world: World) -> bool:
    return not decisions.waiting(world.outbox.decisions)


def _is(world: World, state: DeliveryState) -> bool:
    return bool(world.deliveries()) and world.delivery().state is state


def test_a_paused_destination_gets_nothing_until_it_is_resumed(tmp_path: Path) -> None:
    """Pausing outlasts a restart; resuming sends at once."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        with world.forwarding() as forwarder:
            pause(world, forwarder)
            world.release()
            tick_for(forwarder, 0.2)
        with world.forwarding() as forwarder:
            tick_for(forwarder, 0.2)
            assert pacs.associations == 0
            assert world.overview()[0]["paused"]
            resume(world, forwarder)
            tick_until(forwarder, lambda: _is(world, S.DELIVERED))


def test_a_refused_delivery_is_retried(tmp_path: Path) -> None:
    """After the cure: only what was refused is sent again."""
    pacs = FaultyPacs(store_faults=deque([0xA900]))
    with running(pacs):
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        made = world.release(instances=3)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _is(world, S.REFUSED))
            decide(world, "retry", study=made.study)
            tick_until(forwarder, lambda: _is(world, S.DELIVERED))
    assert [len(copies) for copies in pacs.held.values()] == [1, 1, 1]


def test_retrying_does_not_wait_for_the_back_off(tmp_path: Path) -> None:
    """A person who has repaired the destination does not wait an hour."""
    pacs = FaultyPacs()
    pacs.start()
    port = pacs.port
    pacs.stop()
    world = make_world(
        tmp_path, [dicom_destination(port)], retry_first_seconds=3600, retry_max_seconds=3600
    )
    made = world.release()
    with world.forwarding() as forwarder:
        tick_until(forwarder, lambda: _is(world, S.DEFERRED))
        pacs.start(port)
        decide(world, "retry", study=made.study)
        tick_until(forwarder, lambda: _is(world, S.DELIVERED))
    pacs.stop()


def test_a_retry_sends_in_the_syntaxes_that_are_configured_by_now(tmp_path: Path) -> None:
    """What was refused goes in the syntax that is wanted; what is there stays as it is.

    Before the configuration names a syntax that the release holds, the retry is refused.
    """
    with running(FaultyPacs(store_faults=deque([0, 0xA900]))) as pacs:
        made = make_world(tmp_path, [dicom_destination(pacs.port)]).release(
            instances=2, variant=ImplicitVRLittleEndian
        )
        for syntaxes, state in (
            ([], S.REFUSED),
            ([JPEG2000Lossless], S.REFUSED),
            ([ImplicitVRLittleEndian], S.DELIVERED),
        ):
            world = make_world(tmp_path, [dicom_destination(pacs.port, syntaxes=syntaxes)])
            with world.forwarding() as forwarder:
                if syntaxes:
                    decide(world, "retry", study=made.study)
                tick_until(forwarder, lambda: _is(world, state) and _heard(world))  # noqa: B023 -- now
    (refused,) = (world.outbox.decisions / "refused").iterdir()
    assert json.loads(refused.read_text())["kind"] == "retry"
    sent = {entry.sop_instance_uid: pacs.held[entry.sop_instance_uid] for entry in made.instances}
    first, _, _, second = range(4)
    assert list(sent.values()) == [[world.dataset(made, first)], [world.dataset(made, second)]]


def test_an_abandoned_delivery_stays_where_it_is(tmp_path: Path) -> None:
    """It is not sent, and gives no receipt; it can still be redelivered."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        with world.forwarding() as forwarder:
            pause(world, forwarder)
            made = world.release()
            tick_until(forwarder, lambda: bool(world.deliveries()))
            decide(world, "abandon", study=made.study, destination="research")
            tick_until(forwarder, lambda: _is(world, S.ABANDONED))
            resume(world, forwarder)
            tick_for(forwarder, 0.2)
            assert pacs.associations == 0
            assert world.receipts() == []
            decide(world, "redeliver", study=made.study)
            tick_until(forwarder, lambda: _is(world, S.DELIVERED))


def test_a_delivered_study_is_delivered_again(tmp_path: Path) -> None:
    """For a destination that lost it: everything is sent once more."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        made = world.release(instances=2)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _is(world, S.DELIVERED))
            assert len(world.receipts()) == 1
            pause(world, forwarder)
            decide(world, "redeliver", study=made.study)
            tick_until(forwarder, lambda: _is(world, S.PENDING))
            assert world.receipts() == [], "while it is sent again its files must not be purged"
            resume(world, forwarder)
            tick_until(forwarder, lambda: _is(world, S.DELIVERED))
    assert [len(copies) for copies in pacs.held.values()] == [2, 2]
    assert len(world.receipts()) == 1


def test_a_study_whose_files_are_purged_cannot_be_redelivered(tmp_path: Path) -> None:
    """The decision is refused with its reason, and what is known of the delivery stays."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        made = world.release()
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _is(world, S.DELIVERED))
            for entry in made.instances:
                (world.outbox.releases / made.release / entry.file).unlink()
            decide(world, "redeliver", study=made.study)
            tick_until(forwarder, lambda: _heard(world))
    assert world.delivery().state is S.DELIVERED
    (refused,) = (world.outbox.decisions / "refused").iterdir()
    assert json.loads(refused.read_text())["kind"] == "redeliver"


def test_a_withdrawn_study_stops_and_says_what_went_out(tmp_path: Path) -> None:
    """In the middle of a send: no more leaves, and a signed list names what the PACS has."""
    with running(FaultyPacs(bytes_per_second=20_000)) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        made = world.release(instances=40)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: len(pacs.held) >= 3)
            decide(world, "withdraw", study=made.study)
            tick_until(forwarder, lambda: _is(world, S.WITHDRAWN))
            held = len(pacs.held)
            late = world.release(study=1, generation=2)
            decide(world, "redeliver", study=made.study)
            tick_until(forwarder, lambda: len(world.deliveries()) == 2 and _heard(world))
            tick_for(forwarder, 0.2)
    assert 3 <= held < 40
    assert len(pacs.held) == held
    assert [d.state for d in world.deliveries(late.study)] == [S.WITHDRAWN, S.WITHDRAWN]
    (path,) = world.outbox.withdrawals.iterdir()
    told = unseal("withdrawal", path.read_bytes(), load_public_key(world.outbox.forward_public_key))
    (gone_out,) = told["gone_out"]
    assert set(gone_out["has"]) == set(pacs.held)
    assert gone_out["may_have"] == []
    assert world.receipts() == []


def test_a_decision_about_nothing_is_refused(tmp_path: Path) -> None:
    """An unknown study or destination, or a file that is no decision, stops nothing."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        decide(world, "retry", study="nosuch")
        decide(world, "withdraw", study="nosuch")
        decide(world, "pause", destination="nosuch")
        (world.outbox.decisions / "00000000000000001-junk.json").write_text("{}")
        world.release()
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _is(world, S.DELIVERED))
    assert len(list((world.outbox.decisions / "refused").iterdir())) == 4


def test_a_decision_that_names_nothing_is_not_written(tmp_path: Path) -> None:
    """A person learns at once that a study or a destination is missing."""
    world = make_world(tmp_path, [dicom_destination(1)])
    for kind in ("retry", "abandon", "redeliver", "withdraw", "pause", "resume"):
        with pytest.raises(DecisionInvalid):
            decide(world, kind)
    assert _heard(world)


def test_a_decision_taken_up_twice_acts_once(tmp_path: Path) -> None:
    """A crash between the row and the file's move does not redeliver again."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        made = world.release(instances=1)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _is(world, S.DELIVERED))
            decide(world, "redeliver", study=made.study)
            tick_until(forwarder, lambda: _heard(world) and _is(world, S.DELIVERED))
            (applied,) = decisions.applied(world.outbox.decisions)
            applied.rename(world.outbox.decisions / applied.name)
            tick_until(forwarder, lambda: _heard(world))
            tick_for(forwarder, 0.2)
    assert len(pacs.held[made.instances[0].sop_instance_uid]) == 2
    assert world.instances(world.delivery().id)[0].state is InstanceState.STORED
