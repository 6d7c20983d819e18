"""What is kept, under which status, and what is left behind otherwise: nothing."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import encode
from structlog.testing import capture_logs

from node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.inbox.header import Header, HeaderReader, read_header
from node.upper_layer import (
    Command,
    CommandField,
    ConnectionLost,
    PeerAborted,
    ProtocolViolated,
    Status,
    UpperLayerError,
)
from node.upper_layer.names import TRANSFER_SYNTAXES, VERIFICATION
from tests.receive.receiving import (
    CT,
    IMAGE,
    Receiving,
    ct,
    encoded,
    receiving,
    send,
    sending,
    wait_until,
)
from tests.upper_layer import pdus

SC = "1.2.840.10008.5.1.4.1.1.7"


def test_an_instance_is_kept_as_it_came(tmp_path: Path) -> None:
    """The dataset byte for byte, behind a File Meta of ours that says who sent it to whom."""
    sop_class, sop_instance, dataset = encoded(ct(rows=300))
    with receiving(tmp_path) as node:
        with sending(node.port, calling="CT 1", called="ODD") as association:
            assert send(association, ct(rows=300)) == Status.SUCCESS
        (path,) = node.arrived
    content = path.read_bytes()
    assert content[:132] == bytes(128) + b"DICM"
    assert content.endswith(dataset)
    meta = pydicom.dcmread(path).file_meta
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (
        sop_class,
        sop_instance,
    )
    assert meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert meta.SendingApplicationEntityTitle == "CT 1"
    assert meta.ReceivingApplicationEntityTitle == "ODD"
    assert 144 + meta.FileMetaInformationGroupLength + len(dataset) == len(content)
    assert abs(path.stat().st_mtime - time.time()) < 60
    assert path.stat().st_mode & 0o007 == 0


def test_names_come_from_us_and_tell_the_association(tmp_path: Path) -> None:
    """`<association id>-<number>`, counted from 1 within an association."""
    with receiving(tmp_path) as node:
        for _ in range(2):
            with sending(node.port) as association:
                assert [send(association, ct(n)) for n in (1, 2)] == [0, 0]
        names = [path.name for path in node.arrived]
        assert wait_until(lambda: not node.spooled)
    ids = sorted({name[:10] for name in names})
    assert names == [f"{i}-{n:06d}.dcm" for i in ids for n in (1, 2)]
    assert len(ids) == 2
    assert not set("".join(ids)) - set("0123456789abcdefghjkmnpqrstvwxyz")


def test_every_transfer_syntax_is_taken(tmp_path: Path) -> None:
    """Its bytes are kept and the syntax is recorded."""
    sop_class, sop_instance, _ = encoded(ct())
    with receiving(tmp_path) as node:
        for syntax in TRANSFER_SYNTAXES:
            dataset = _dataset_in(syntax)
            with sending(node.port, syntax=syntax) as association:
                status = association.send_store(
                    IMAGE, 1, sop_class, sop_instance, [dataset], len(dataset)
                )
            assert status == Status.SUCCESS
            (path,) = node.arrived
            assert path.read_bytes().endswith(dataset)
            assert pydicom.filereader.read_file_meta_info(path).TransferSyntaxUID == syntax
            path.unlink()


def _dataset_in(syntax: str) -> bytes:
    """Encode as the syntax says; what it says of the pixels is not looked at here."""
    plain = (ImplicitVRLittleEndian, pydicom.uid.DeflatedExplicitVRLittleEndian)
    if syntax == pydicom.uid.ExplicitVRBigEndian:
        return _big_endian(ct())
    return encoded(ct(syntax=UID(syntax) if syntax in plain else ExplicitVRLittleEndian))[2]


def _big_endian(instance: pydicom.FileDataset) -> bytes:
    instance["PixelData"].VR = "OW"
    return encode(instance, False, False) or b""


def test_a_private_sop_class_is_taken_where_configured(tmp_path: Path) -> None:
    """And refused as a presentation context where it is not."""
    private = "1.2.826.0.1.3680043.9.7777.1.2"
    instance = ct()
    instance.SOPClassUID = instance.file_meta.MediaStorageSOPClassUID = private
    with (
        receiving(tmp_path, private_sop_classes=(private,)) as node,
        sending(node.port, sop_class=private) as association,
    ):
        assert send(association, instance) == Status.SUCCESS
    with receiving(tmp_path) as node, sending(node.port, sop_class=private) as association:
        assert association.refused == {IMAGE: 3}


@pytest.mark.parametrize(
    ("uid", "written"),
    [
        ("1.2.3.04", b"1.2.3.04"),
        ("1.2.3", b"1.2.3\0"),
        ("1.2.3", b"1.2.3 "),
        ("1.2.3.4", b"1.2.3.4"),
        ("1." + "2" * 62, b"1." + b"2" * 62),
        ("1", b"1\0"),
    ],
)
def test_a_uid_is_taken_as_modalities_write_it(tmp_path: Path, uid: str, written: bytes) -> None:
    """Leading zeros, padding of either kind or none at all, from 1 to 64 characters."""
    sop_class, sop_instance, dataset = encoded(ct())
    good = b"UI" + len(sop_instance).to_bytes(2, "little") + sop_instance.encode()
    assert dataset.count(good) == 1
    odd = dataset.replace(good, b"UI" + len(written).to_bytes(2, "little") + written)
    with receiving(tmp_path) as node, sending(node.port) as association:
        status = association.send_store(IMAGE, 1, sop_class, uid, [odd], len(odd))
        assert status == Status.SUCCESS
        assert read_header(node.arrived[0]).sop_instance_uid == uid


def _refused(tmp_path: Path, uids: tuple[str, str], dataset: bytes, **receive: int) -> int:
    """Send one instance that is refused, then a good one; give the first one's status."""
    with receiving(tmp_path, **receive) as node:
        with sending(node.port) as association:
            status = association.send_store(IMAGE, 1, *uids, [dataset], len(dataset))
            assert not node.arrived
            # An empty file is the one that waits for the next instance.
            assert not [p for p in node.spooled if p.is_file() and p.stat().st_size]
            assert send(association, ct(2), 2) == Status.SUCCESS
        assert wait_until(lambda: not node.spooled)
        assert len(node.arrived) == 1
    return status


def test_a_class_that_is_not_the_contexts_is_refused(tmp_path: Path) -> None:
    """The peer said CT when it asked and another class when it sent."""
    instance = ct()
    instance.SOPClassUID = SC
    _, sop_instance, dataset = encoded(instance)
    assert _refused(tmp_path, (SC, sop_instance), dataset) == Status.DATASET_DOES_NOT_MATCH


def test_a_dataset_of_another_class_is_refused(tmp_path: Path) -> None:
    """Command and dataset differ."""
    instance = ct()
    instance.SOPClassUID = SC
    _, sop_instance, dataset = encoded(instance)
    assert _refused(tmp_path, (CT, sop_instance), dataset) == Status.DATASET_DOES_NOT_MATCH


def test_a_dataset_of_another_instance_is_refused(tmp_path: Path) -> None:
    """Command and dataset differ."""
    dataset = encoded(ct())[2]
    assert _refused(tmp_path, (CT, "1.2.3"), dataset) == Status.DATASET_DOES_NOT_MATCH


@pytest.mark.parametrize(
    "uid", ["", "../../etc/passwd", "1.2.3/4", "1.2.3x", "1" * 65, "1.2.\u0663".encode().hex()]
)
def test_what_is_no_uid_is_refused(tmp_path: Path, uid: str) -> None:
    """Wherever it points to."""
    dataset = encoded(ct())[2]
    assert _refused(tmp_path, (CT, uid), dataset) == Status.DATASET_DOES_NOT_MATCH


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_a_dataset_without_its_uids_is_refused(tmp_path: Path, keyword: str) -> None:
    """Nobody could tell where it belongs."""
    instance = ct()
    sop_class, sop_instance, _ = encoded(instance)
    del instance[keyword]
    dataset = encode(instance, False, True) or b""
    status = _refused(tmp_path, (sop_class, sop_instance), dataset)
    wanted = Status.DATASET_DOES_NOT_MATCH if keyword == "SOPClassUID" else Status.CANNOT_UNDERSTAND
    assert status == wanted


@pytest.mark.parametrize("dataset", [b"\0" * 100, b"not DICOM at all" * 9, b"\x08"])
def test_a_dataset_that_is_none_is_refused(tmp_path: Path, dataset: bytes) -> None:
    """As not understood."""
    assert _refused(tmp_path, (CT, "1.2.3"), dataset) == Status.CANNOT_UNDERSTAND


def test_an_instance_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """And the association goes on."""
    sop_class, sop_instance, dataset = encoded(ct(rows=100))
    status = _refused(tmp_path, (sop_class, sop_instance), dataset, max_instance_bytes=10_000)
    assert status == Status.OUT_OF_RESOURCES


def test_a_dataset_that_does_not_end_is_cut(tmp_path: Path) -> None:
    """max_instance_bytes, a little more to be told why, then A-ABORT."""
    chunks = (bytes(1_000_000) for _ in range(1000))
    with receiving(tmp_path, max_instance_bytes=10_000) as node:
        with sending(node.port) as association, pytest.raises(UpperLayerError) as told:
            association.send_store(IMAGE, 1, CT, "1.2.3", chunks, 1_000_000_000)
        assert isinstance(told.value, ConnectionLost | PeerAborted)
        assert wait_until(lambda: not node.spooled)
        assert not node.arrived


def test_an_instance_on_the_verification_context_is_refused(tmp_path: Path) -> None:
    """Its SOP class is no Storage."""
    with (
        receiving(tmp_path) as node,
        sending(node.port, sop_class=VERIFICATION) as association,
    ):
        dataset = encoded(ct())[2]
        status = association.send_store(IMAGE, 1, CT, "1.2.3", [dataset], len(dataset))
        assert status == Status.SOP_CLASS_NOT_SUPPORTED
        assert association.echo(2) == Status.SUCCESS
        assert not node.arrived


@pytest.mark.parametrize("how", ["abort", "cut"])
def test_an_instance_that_broke_off_leaves_nothing(tmp_path: Path, how: str) -> None:
    """Not a partial file, not a folder, not a place taken."""
    with receiving(tmp_path) as node:
        with pytest.raises(InterruptedError), sending(node.port) as association:
            association.send_store(IMAGE, 1, CT, "1.2.3", _breaks(node, association, how), 10**6)
        assert wait_until(lambda: not node.spooled)
        assert wait_until(lambda: node.receiver.places.taken == 0)
        assert not node.arrived


def _breaks(node: Receiving, association: object, how: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    yield bytes(300_000)
    assert wait_until(lambda: any(path.suffix == ".part" for path in node.spooled))
    if how == "cut":
        association.cut()  # type: ignore[attr-defined]
    raise InterruptedError


def test_a_mistake_of_ours_costs_one_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0110H, nothing left of it, nothing told of its text, and the rest of the study goes on."""
    real, calls = HeaderReader.read, []

    def stumbles(reader: HeaderReader, source: Path | int | bytes) -> Header:
        if isinstance(source, int):  # what is being received
            calls.append(source)
            if len(calls) == 1:
                raise ZeroDivisionError("a secret")
        return real(reader, source)

    monkeypatch.setattr(HeaderReader, "read", stumbles)
    with capture_logs() as said, receiving(tmp_path) as node:
        with sending(node.port) as association:
            statuses = [send(association, ct(n), n) for n in (1, 2)]
        assert statuses == [Status.PROCESSING_FAILURE, Status.SUCCESS]
        assert wait_until(lambda: not node.spooled)
        assert len(node.arrived) == 1
    (told,) = [event for event in said if event["event"] == "instance_refused"]
    assert told["exception"] == "ZeroDivisionError"
    assert "secret" not in str(said)


def test_what_a_drain_cuts_leaves_nothing(tmp_path: Path) -> None:
    """A role that stops does not leave half an instance to its next start."""
    begun = pdus.p_data((3, pdus.COMMAND | pdus.LAST, pdus.c_store_rq()), (3, 0, b"begun"))
    with receiving(tmp_path) as node, socket.create_connection(("127.0.0.1", node.port)) as sock:
        sock.sendall(pdus.associate_rq() + begun)
        assert wait_until(lambda: any(p.is_file() and p.stat().st_size for p in node.spooled))
        assert not node.listeners[0].drain(0.1)
        assert not node.spooled
        assert not node.arrived


def test_an_identical_instance_is_received_again(tmp_path: Path) -> None:
    """It is answered 0x0000; that it is a duplicate, adoption finds out."""
    with receiving(tmp_path) as node:
        for _ in range(2):
            with sending(node.port) as association:
                assert [send(association, ct()) for _ in range(2)] == [0, 0]
        assert len(node.arrived) == 4


def test_an_answer_to_nothing_ends_the_association(tmp_path: Path) -> None:
    """A C-STORE-RSP where nothing was asked."""
    with receiving(tmp_path) as node, sending(node.port) as association:
        association.send(IMAGE, Command(CommandField.C_STORE_RSP, message_id_responded_to=1))
        with pytest.raises((PeerAborted, ConnectionLost, ProtocolViolated)):
            association.wait_for_message(10)


@pytest.mark.parametrize("field", [0x0020, 0x0010, 0x0021, 0x0110, 0x0120, 0x0140, 0x0150, 0x0130])
def test_other_operations_are_refused_by_name(tmp_path: Path, field: int) -> None:
    """C-FIND, C-GET, C-MOVE, N-GET, N-SET, N-CREATE, N-DELETE, N-ACTION on a Storage context."""
    with receiving(tmp_path) as node, sending(node.port) as association:
        request = Command(field, message_id=3, sop_class=CT, has_dataset=True)
        status = association.ask(IMAGE, request, b"\0\0\0\0")
        assert status == Status.UNRECOGNISED_OPERATION
        association.send(IMAGE, Command(0x0FFF, message_id_responded_to=3))
        assert send(association, ct(), 4) == Status.SUCCESS
