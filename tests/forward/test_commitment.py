"""Storage commitment: a receipt only for what a destination took responsibility for."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from node.config import DicomDestination, NodeConfig
from node.forward.asking import NotAResult, ask, read_result
from node.forward.batch import Reaction
from node.forward.commitment import Declined, Question, Result, Transaction
from node.outbox.states import DeliveryState
from node.upper_layer import AssociationRejected, Proposal, open_association
from node.upper_layer.names import VERIFICATION
from tests.factories import SOP_CLASSES
from tests.forward.committing import Committing, Way
from tests.forward.faulty_pacs import FaultyPacs, running
from tests.forward.harness import (
    World,
    decide,
    dicom_destination,
    make_world,
    tick_for,
    tick_until,
)
from tests.ports import free_port

S = DeliveryState


def _world(tmp_path: Path, pacs: FaultyPacs, committing: Committing, **timing: float) -> World:
    committing.port = free_port()
    pacs.commitment = committing
    return make_world(
        tmp_path, [dicom_destination(pacs.port, commitment=True)],
        host="127.0.0.1", port=committing.port, **timing,
    )  # fmt: skip


def _is(world: World, state: DeliveryState) -> bool:
    return bool(world.deliveries()) and world.delivery().state is state


@pytest.mark.parametrize("way", [Way.SAME, Way.NEW])
def test_the_receipt_waits_for_the_commitment(tmp_path: Path, way: Way) -> None:
    """A result on the asking association or on another: then, and only then, it is for good."""
    with running(FaultyPacs()) as pacs:
        committing = Committing(way)
        world = _world(tmp_path, pacs, committing)
        world.release(instances=3)
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _is(world, S.COMMITTED))
            tick_until(forwarder, lambda: bool(committing.statuses))
    assert committing.statuses == [0]
    assert committing.failures == []
    (receipt,) = world.receipts()
    assert receipt["committed"] is True
    assert world.overview()[0]["committed"] == 3


def test_without_a_result_there_is_no_receipt(tmp_path: Path) -> None:
    """It is asked again, each time under a new Transaction UID, and more and more rarely."""
    with running(FaultyPacs()) as pacs:
        committing = Committing(Way.NEVER)
        world = _world(tmp_path, pacs, committing, timeout_seconds=0.5)
        world.release()
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: len(committing.transactions) >= 2)
    assert len(set(committing.transactions)) == len(committing.transactions)
    assert world.delivery().state is S.DELIVERED
    assert world.receipts() == []


def test_a_late_result_for_an_earlier_question_counts(tmp_path: Path) -> None:
    """A PACS that reports hours later is understood, also after it was asked again."""
    with running(FaultyPacs()) as pacs:
        committing = Committing(Way.NEVER)
        world = _world(tmp_path, pacs, committing, timeout_seconds=0.5)
        world.release()
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: len(committing.transactions) >= 2)
            committing.transaction = committing.transactions[0]
            committing.way = Way.NEW
            tick_until(forwarder, lambda: _is(world, S.COMMITTED))


def test_what_the_destination_lost_is_sent_again(tmp_path: Path) -> None:
    """A failed reference is stored once more, and asked for once more."""
    with running(FaultyPacs()) as pacs:
        committing = Committing(Way.SAME)
        world = _world(tmp_path, pacs, committing)
        made = world.release(instances=3)
        lost = made.instances[1].sop_instance_uid
        committing.fail = {lost: 0x0112}
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _is(world, S.COMMITTED))
    copies = {uid: len(each) for uid, each in pacs.held.items()}
    assert copies == {e.sop_instance_uid: 2 if e.sop_instance_uid == lost else 1
                      for e in made.instances}  # fmt: skip
    assert len(committing.transactions) == 2
    assert len(world.receipts()) == 1


def test_a_destination_that_does_not_commit_waits_for_a_person(tmp_path: Path) -> None:
    """The reason names the cure; with commitment turned off, a retry gives the receipt."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port, commitment=True)], port=0)
        made = world.release()
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _is(world, S.REFUSED))
        assert "commitment = false" in world.delivery().last_answer
        world.config = NodeConfig.model_validate(
            {**world.config.model_dump(), "destinations": [dicom_destination(pacs.port)]}
        )
        with world.forwarding() as forwarder:
            decide(world, "retry", study=made.study)
            tick_until(forwarder, lambda: _is(world, S.DELIVERED))
    assert len(world.receipts()) == 1
    assert {len(copies) for copies in pacs.held.values()} == {1}


def test_a_declined_request_waits_for_a_person(tmp_path: Path) -> None:
    """A failure status to N-ACTION is told as it came."""
    with running(FaultyPacs()) as pacs:
        world = _world(tmp_path, pacs, Committing(Way.DECLINE))
        world.release()
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _is(world, S.REFUSED))
    assert "0122H" in world.delivery().last_answer


def test_a_request_that_may_pass_later_does_not_hold_those_behind_it(tmp_path: Path) -> None:
    """A processing failure may be about one transaction: the others are asked for all the same."""
    committing = Committing(Way.SAME, busy=1)
    told: list[Result | Declined] = []
    with running(FaultyPacs(commitment=committing)) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port, commitment=True)])
        (destination,) = world.config.destinations
        assert isinstance(destination, DicomDestination)
        both = tuple(
            Transaction(f"2.25.{number}", number, ((SOP_CLASSES["CT"], f"2.25.10{number}"),))
            for number in (1, 2)
        )
        ending = ask(Question(destination, both, 60.0), told.append)
    assert committing.transactions == ["2.25.1", "2.25.2"]
    assert told == [Result("2.25.2", frozenset({"2.25.102"}))]
    assert ending.reaction is Reaction.RETRY


@pytest.mark.parametrize(
    ("change", "status"),
    [({"transaction": "1.2.3"}, 0x0110), ({"calling": "STRANGER"}, -3), ({"called": "OTHER"}, -3)],
)
def test_a_result_that_is_not_ours_changes_nothing(
    tmp_path: Path, change: dict[str, str], status: int
) -> None:
    """An unknown transaction, a stranger's title, somebody else's title: no commitment."""
    with running(FaultyPacs()) as pacs:
        committing = Committing(Way.NEW, **change)
        world = _world(tmp_path, pacs, committing)
        world.release()
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: bool(committing.statuses or committing.failures))
    assert committing.failures == []
    assert committing.statuses[0] == status
    assert world.delivery().state is S.DELIVERED


@pytest.mark.parametrize(
    ("titles", "reason"),
    [(("STRANGER", "DEIDNODE"), "calling_ae_not_recognised"),
     (("PACS", "OTHER"), "called_ae_not_recognised")],
)  # fmt: skip
def test_who_is_turned_away_is_told(tmp_path: Path, titles: tuple[str, str], reason: str) -> None:
    """With AE title and address: whoever hears the alarm knows whom to look for."""
    proposals = [Proposal(1, VERIFICATION, ("1.2.840.10008.1.2",))]
    committing = Committing(Way.NEVER)
    with running(FaultyPacs()) as pacs, capture_logs() as said:
        world = _world(tmp_path, pacs, committing)
        with world.forwarding(), pytest.raises(AssociationRejected):
            open_association("127.0.0.1", committing.port, *titles, proposals)
    (told,) = [event for event in said if event["event"] == "association_rejected"]
    assert (told["peer"], told["address"]) == (titles[0], "127.0.0.1")
    assert told["reason"] == reason


def test_one_destination_does_not_answer_for_another(tmp_path: Path) -> None:
    """A result counts only from the destination that was asked."""
    with running(FaultyPacs()) as pacs:
        committing = Committing(Way.NEW, calling="SECOND", port=free_port())
        pacs.commitment = committing
        world = make_world(
            tmp_path,
            [
                dicom_destination(pacs.port, commitment=True),
                dicom_destination(1, "second", ae_title="SECOND", commitment=True),
            ],
            host="127.0.0.1", port=committing.port,
        )  # fmt: skip
        world.release(destinations=["research"])
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: bool(committing.statuses or committing.failures))
    assert committing.statuses[0] == 0x0110
    assert world.delivery().state is S.DELIVERED


def test_a_result_for_a_withdrawn_study_changes_nothing(tmp_path: Path) -> None:
    """What a person took back is not brought back by a late report."""
    with running(FaultyPacs()) as pacs:
        committing = Committing(Way.NEVER)
        world = _world(tmp_path, pacs, committing, timeout_seconds=0.5)
        made = world.release()
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: bool(committing.transactions))
            decide(world, "withdraw", study=made.study)
            tick_until(forwarder, lambda: _is(world, S.WITHDRAWN))
            tick_for(forwarder, 0.1)
    assert world.receipts() == []


def test_the_port_takes_results_and_echoes_only(tmp_path: Path) -> None:
    """Nobody stores anything here: the research network never needs the port of receive."""
    with running(FaultyPacs()) as pacs:
        committing = Committing(Way.NEVER)
        world = _world(tmp_path, pacs, committing)
        proposals = (
            Proposal(1, "1.2.840.10008.5.1.4.1.1.2", ("1.2.840.10008.1.2",)),
            Proposal(3, VERIFICATION, ("1.2.840.10008.1.2",)),
        )
        with (
            world.forwarding(),
            open_association(
                "127.0.0.1", committing.port, "PACS", "DEIDNODE", proposals
            ) as association,
        ):
            assert set(association.contexts) == {3}
            assert association.refused == {1: 3}  # abstract syntax not supported
            assert association.echo() == 0


def test_the_port_is_closed_where_nobody_is_asked(tmp_path: Path) -> None:
    """Without a destination that commits, forward listens nowhere."""
    port = free_port()
    world = make_world(tmp_path, [dicom_destination(1)], host="127.0.0.1", port=port)
    with world.forwarding() as forwarder:
        assert forwarder.results is None


@pytest.mark.parametrize("encoded", [b"", b"\xff" * 40, b"\x08\x00\x95\x11\x04\x00\x00\x00abcd"])
def test_what_is_no_result_is_refused(encoded: bytes) -> None:
    """Whatever the bytes are, they are a result or they are not."""
    with pytest.raises(NotAResult):
        read_result(encoded, "1.2.840.10008.1.2")


def test_asking_outlasts_a_restart(tmp_path: Path) -> None:
    """What was delivered and not yet committed is asked for by the next run."""
    with running(FaultyPacs()) as pacs:
        committing = Committing(Way.NEVER)
        world = _world(tmp_path, pacs, committing, timeout_seconds=0.5)
        world.release()
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: bool(committing.transactions))
        committing.way = Way.SAME
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: _is(world, S.COMMITTED))
