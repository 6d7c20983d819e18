"""Storage Commitment: success only for what is durable here, and only for peers who may ask."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from sqlalchemy import Connection, insert
from structlog.testing import capture_logs

from node.inbox.index import open_index
from node.inbox.layout import Inbox
from node.inbox.tables import instance as instance_table
from node.inbox.tables import study as study_table
from node.receive import reports
from node.receive.commitment import NotARequest, Reference, Request, read_request, settle
from node.receive.index_lookup import IndexFailed
from node.upper_layer import (
    Command,
    CommandField,
    PeerAborted,
    RequestedAssociation,
    Status,
    open_association,
)
from node.upper_layer.dataset import decode_dataset, encode_dataset
from node.upper_layer.names import (
    EXPLICIT_LITTLE,
    STORAGE_COMMITMENT_INSTANCE,
    STORAGE_COMMITMENT_PUSH,
)
from tests.ports import free_port
from tests.receive.committing import COMMIT, PROPOSALS, TRANSACTION, Result, a_peers_listener
from tests.receive.receiving import CT, Receiving, ct, encoded, receiving, send, wait_until


def asking(port: int) -> RequestedAssociation:
    """Open an association for Storage and commitment."""
    return open_association("127.0.0.1", port, "CT1", "DEIDNODE", PROPOSALS)


def peer(**more: Any) -> tuple[dict[str, Any], ...]:
    """Give a peer that may ask."""
    return ({"ae_title": "CT1", "commitment": True, **more},)


def report_on(association: RequestedAssociation) -> Result:
    """Wait for the report on the same association and answer it."""
    message = association.wait_for_message(10)
    assert message is not None
    assert message.command.field == CommandField.N_EVENT_REPORT_RQ
    dataset = decode_dataset(association.read_dataset(10**6), message.context.transfer_syntax)
    association.send(message.context.context_id, message.command.answer(Status.SUCCESS))
    return Result(message.command.event_type, dataset)


def test_it_is_off_by_default(tmp_path: Path) -> None:
    """A peer that was not given the right is not offered the context."""
    with receiving(tmp_path) as node, asking(node.port) as association:
        assert association.refused == {COMMIT: 3}
    with receiving(tmp_path, peers=({"ae_title": "CT1"},)) as node:  # noqa: SIM117 -- one after the other
        with asking(node.port) as association:
            assert association.refused == {COMMIT: 3}


def test_what_arrived_is_committed_to_and_what_did_not_is_not(tmp_path: Path) -> None:
    """On the same association where the peer has no host and port; then it goes on."""
    _, held, _ = encoded(ct(1))
    with receiving(tmp_path, peers=peer()) as node, asking(node.port) as association:
        assert send(association, ct(1)) == Status.SUCCESS
        status = association.request_commitment(
            COMMIT, 2, TRANSACTION, [(CT, held), (CT, "1.2.3.4")]
        )
        assert status == Status.SUCCESS
        report = report_on(association)
        assert report.event_type == 2
        assert report.dataset.TransactionUID == TRANSACTION
        assert report.committed == [held]
        assert report.failed == [("1.2.3.4", Status.NO_SUCH_SOP_INSTANCE)]
        assert association.request_commitment(COMMIT, 3, TRANSACTION, [(CT, held)]) == 0
        assert report_on(association).event_type == 1
        assert send(association, ct(2), 4) == Status.SUCCESS


def test_another_class_than_the_instances_is_a_conflict(tmp_path: Path) -> None:
    """0119H."""
    _, held, _ = encoded(ct(1))
    with receiving(tmp_path, peers=peer()) as node, asking(node.port) as association:
        send(association, ct(1))
        association.request_commitment(COMMIT, 2, TRANSACTION, [(STORAGE_COMMITMENT_PUSH, held)])
        assert report_on(association).failed == [(held, Status.CLASS_INSTANCE_CONFLICT)]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"sop_instance": "1.2.3"}, Status.NO_SUCH_SOP_INSTANCE),
        ({"action_type": 2}, Status.NO_SUCH_ACTION_TYPE),
        ({"has_dataset": False}, Status.INVALID_ARGUMENT_VALUE),
        ({}, Status.INVALID_ARGUMENT_VALUE),
    ],
)
def test_a_request_that_is_none_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], wanted: Status
) -> None:
    """Another instance, another action, no dataset, an empty one."""
    facts = {"sop_instance": STORAGE_COMMITMENT_INSTANCE, "action_type": 1, "has_dataset": True}
    request = Command(
        CommandField.N_ACTION_RQ, message_id=5, sop_class=STORAGE_COMMITMENT_PUSH, **facts | changes
    )
    with receiving(tmp_path, peers=peer()) as node, asking(node.port) as association:
        assert association.ask(COMMIT, request, b"") == wanted
        assert send(association, ct(), 6) == Status.SUCCESS


def test_a_peer_with_host_and_port_gets_its_report_there(tmp_path: Path) -> None:
    """On a new association, where we propose to be the SCP (PS3.7 D.3.3.4)."""
    port = free_port()
    _, held, _ = encoded(ct(1))
    peers = peer(host="127.0.0.1", port=port)
    with receiving(tmp_path, peers=peers) as node, a_peers_listener(port) as heard:
        with asking(node.port) as association:
            send(association, ct(1))
            association.request_commitment(COMMIT, 2, TRANSACTION, [(CT, held)])
        assert wait_until(lambda: bool(heard.results))
    assert heard.roles == [(False, True)]
    assert heard.results[0].committed == [held]


def test_a_peer_that_is_not_there_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while; it holds nobody else up."""
    monkeypatch.setattr("node.receive.reports._WAITS", (0.0, 0.6, 0.6))
    port = free_port()
    peers = peer(host="127.0.0.1", port=port)
    with receiving(tmp_path, peers=peers) as node:
        with asking(node.port) as association:
            association.request_commitment(COMMIT, 2, TRANSACTION, [(CT, "1.2.3")])
        threading.Event().wait(0.2)
        with a_peers_listener(port) as heard:
            assert wait_until(lambda: bool(heard.results))


def test_a_result_that_meets_a_mistake_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody foresaw with one is told; the next peer gets its result."""
    monkeypatch.setattr("node.receive.reports._WAITS", (0.0,))
    port = free_port()
    peers = (*peer(ae_title="MR1", host="127.0.0.1", port=port), *peer(host="127.0.0.1", port=port))
    real = reports.send_report

    def send_report(report: reports.Report, *rest: Any) -> int:
        if report.peer.ae_title == "MR1":
            raise ZeroDivisionError
        return real(report, *rest)

    monkeypatch.setattr(reports, "send_report", send_report)
    with (
        capture_logs() as said,
        receiving(tmp_path, peers=peers) as node,
        a_peers_listener(port) as heard,
    ):
        for calling in ("MR1", "CT1"):
            with open_association(
                "127.0.0.1", node.port, calling, "DEIDNODE", PROPOSALS
            ) as association:
                association.request_commitment(COMMIT, 2, TRANSACTION, [(CT, "1.2.3")])
        assert wait_until(lambda: bool(heard.results), 20)
    (warning,) = [event for event in said if event["event"] == "configuration_warning"]
    assert (warning["peer"], warning["exception"]) == ("MR1", "ZeroDivisionError")


def _adopt(node: Receiving | Inbox, state: str) -> Path:
    """Do to the one file in `arrived` what adoption does."""
    inbox = node.inbox if isinstance(node, Receiving) else node
    (path,) = inbox.arrived.iterdir()
    _, uid, _ = encoded(ct(1))
    engine = open_index(inbox.database)
    with engine.begin() as conn:
        conn.execute(insert(study_table).values(id="study001", state="RECEIVING", opened_at=0))
        conn.execute(
            insert(instance_table).values(
                id=path.stem, study="study001", series=1, state=state, arrived_at=0, bytes=1,
                sop_class_uid=CT, sop_instance_uid=uid, sop_digest="", series_digest="",
                patient_digest="",
            )
        )  # fmt: skip
    engine.dispose()
    target = inbox.studies / "study001" / path.name
    target.parent.mkdir()
    path.rename(target)
    return target


def test_an_adopted_instance_is_committed_to_until_it_is_purged(tmp_path: Path) -> None:
    """The row alone is not enough: the file must be there."""
    _, held, _ = encoded(ct(1))
    with receiving(tmp_path, peers=peer()) as node, asking(node.port) as association:
        send(association, ct(1))
        path = _adopt(node, "RECEIVED")
        association.request_commitment(COMMIT, 2, TRANSACTION, [(CT, held)])
        assert report_on(association).committed == [held]
        path.unlink()
        association.request_commitment(COMMIT, 3, TRANSACTION, [(CT, held)])
        assert report_on(association).failed == [(held, Status.NO_SUCH_SOP_INSTANCE)]


def test_an_adopted_instance_is_committed_to_once_its_name_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file may be renamed and not synced: its study's folder is, and what names that."""
    _, held, _ = encoded(ct(1))
    synced: list[Path] = []
    with receiving(tmp_path, peers=peer()) as node, asking(node.port) as association:
        send(association, ct(1))
        path = _adopt(node, "RECEIVED")
        with monkeypatch.context() as watched:
            watched.setattr("node.disk.fsync_dir", synced.append)
            association.request_commitment(COMMIT, 2, TRANSACTION, [(CT, held)])
            assert report_on(association).committed == [held]
    assert synced == [path.parent, node.inbox.studies]


def test_what_cannot_be_told_is_not_committed_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0110H where the disk or the index fails us; the peer asks again, and the rest goes on."""
    _, held, _ = encoded(ct(1))
    with (
        capture_logs() as said,
        receiving(tmp_path, peers=peer()) as node,
        asking(node.port) as association,
    ):
        assert send(association, ct(1)) == Status.SUCCESS
        with monkeypatch.context() as failing:
            failing.setattr("node.disk.fsync_dir", _fails)
            wanted = [(CT, held)]
            status = association.request_commitment(COMMIT, 2, TRANSACTION, wanted)
            assert status == Status.PROCESSING_FAILURE
        node.inbox.database.write_bytes(b"not a database" * 100)
        status = association.request_commitment(COMMIT, 3, TRANSACTION, [(CT, "1.2.3")])
        assert status == Status.PROCESSING_FAILURE
        assert send(association, ct(2), 4) == Status.SUCCESS
    assert [event["event"] for event in said].count("storage_failed") == 2


def _not_migrated(conn: Connection) -> None:
    conn.exec_driver_sql("DROP TABLE alembic_version")


def _of_a_newer_version(conn: Connection) -> None:
    conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")


@pytest.mark.parametrize("spoil", [_not_migrated, _of_a_newer_version])
def test_an_index_that_cannot_be_opened_is_not_an_empty_one(
    tmp_path: Path, spoil: Callable[[Connection], None]
) -> None:
    """A peer that heard 0112H of what we hold would send it again, or lose its trust in us."""
    _, held, _ = encoded(ct(1))
    with (
        capture_logs() as said,
        receiving(tmp_path, peers=peer()) as node,
        asking(node.port) as association,
    ):
        send(association, ct(1))
        _adopt(node, "RECEIVED")
        engine = open_index(node.inbox.database)
        with engine.begin() as conn:
            spoil(conn)
        engine.dispose()
        status = association.request_commitment(COMMIT, 2, TRANSACTION, [(CT, held)])
        assert status == Status.PROCESSING_FAILURE
    assert "storage_failed" in [event["event"] for event in said]


def test_an_index_that_may_not_be_opened_is_not_an_empty_one(tmp_path: Path) -> None:
    """A folder in its place stands for each reason why SQLite cannot open it."""
    inbox = Inbox(tmp_path)
    inbox.create()
    inbox.database.mkdir()
    with pytest.raises(IndexFailed):
        settle(Request(TRANSACTION, (Reference(CT, "1.2.3"),)), inbox)


def test_a_mistake_of_ours_is_not_told_as_the_disks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the association and is told as a fault of the node; the next peer is served."""
    with capture_logs() as said, receiving(tmp_path, peers=peer()) as node:
        with monkeypatch.context() as mistaken, asking(node.port) as association:
            mistaken.setattr("node.receive.commitment_service.settle", _stumbles)
            with pytest.raises(PeerAborted):
                association.request_commitment(COMMIT, 2, TRANSACTION, [(CT, "1.2.3")])
        with asking(node.port) as association:
            assert association.request_commitment(COMMIT, 2, TRANSACTION, [(CT, "1.2.3")]) == 0
    (fault,) = [event for event in said if "exception" in event]
    assert (fault["event"], fault["exception"]) == ("association_aborted", "KeyError")


def _stumbles(*_arguments: object) -> None:
    raise KeyError


def _fails(_path: Path) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_thousand_references_are_settled(tmp_path: Path) -> None:
    """More than one statement's worth; none of them is here."""
    inbox = Inbox(tmp_path)
    inbox.create()
    open_index(inbox.database).dispose()
    references = tuple(Reference(CT, f"1.2.{n}") for n in range(1200))
    outcome = settle(Request(TRANSACTION, references), inbox)
    assert len(outcome.failed) == 1200


@pytest.mark.parametrize(
    "dataset",
    [
        b"",
        b"noise" * 9,
        encode_dataset(Dataset(), EXPLICIT_LITTLE),
        b"\x08\0\x99\x11SQ\0\0" + b"\xff" * 4 + b"\xfe\xff\0\xe0\xff\xff\xff\xff" * 2000,
    ],
)
def test_a_dataset_that_is_no_request_is_one_fact(dataset: bytes) -> None:
    """Empty, noise, without references, nested without end."""
    with pytest.raises(NotARequest):
        read_request(dataset, EXPLICIT_LITTLE)


def test_a_reference_that_is_no_uid_is_refused() -> None:
    """Whatever it points to."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, generate_uid()
    dataset = Dataset()
    dataset.TransactionUID, dataset.ReferencedSOPSequence = TRANSACTION, [item]
    good = encode_dataset(dataset, EXPLICIT_LITTLE)
    assert len(read_request(good, EXPLICIT_LITTLE).references) == 1
    bad = good.replace(CT.encode(), b"../etc/passwd".ljust(len(CT), b"x"))
    with pytest.raises(NotARequest):
        read_request(bad, EXPLICIT_LITTLE)


def test_a_request_too_long_to_be_one_ends_the_association(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not kept in memory."""
    monkeypatch.setattr("node.receive.commitment_service.MAX_REQUEST_BYTES", 1000)
    references = [(CT, f"1.2.{n}") for n in range(100)]
    with receiving(tmp_path, peers=peer()) as node:
        association = asking(node.port)
        with pytest.raises(Exception, match="abort"):
            association.request_commitment(COMMIT, 2, TRANSACTION, references)
        assert wait_until(lambda: node.receiver.places.taken == 0)
        with socket.create_connection(("127.0.0.1", node.port)):
            pass
