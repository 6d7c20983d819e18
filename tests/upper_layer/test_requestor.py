"""An association that we open, with peers that keep to the standard and peers that do not."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from node.upper_layer import (
    AssociationRejected,
    ConnectionFailed,
    ConnectionLost,
    ContextRefused,
    Deadlines,
    PeerAborted,
    PeerTimedOut,
    Proposal,
    ProtocolViolated,
    RequestedAssociation,
    Supported,
    UpperLayerError,
    WrongAnswer,
    open_association,
)
from node.upper_layer.codec import accept_request, decode_request
from tests.upper_layer import pdus
from tests.upper_layer.pdus import COMMAND, CT, EXPLICIT, IMPLICIT, LAST, VERIFICATION

PROPOSALS = (Proposal(1, VERIFICATION, (IMPLICIT,)), Proposal(3, CT, (EXPLICIT,)))
SUPPORTED = (Supported(VERIFICATION, (IMPLICIT,)), Supported(CT, (EXPLICIT,)))
PATIENT = Deadlines()
#: Where silence is what a test is about.
HASTY = Deadlines(answer=0.3, write=0.3)
ECHO, IMAGE = 1, 3

Script = Callable[[socket.socket], None]


@contextmanager
def a_peer(script: Script) -> Iterator[int]:
    """Run a peer that follows a script with its one connection; give its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve, args=(server, script))
        thread.start()
        yield server.getsockname()[1]
        thread.join(120)
        assert not thread.is_alive()


def _serve(server: socket.socket, script: Script) -> None:
    sock, _ = server.accept()
    with sock:
        sock.settimeout(120)
        script(sock)


def accepts(
    sock: socket.socket, supported: tuple[Supported, ...] = SUPPORTED, max_pdu: int = 16384
) -> None:
    """Accept as a peer that keeps to the standard."""
    kind, body = pdus.read_pdu(sock)
    assert kind == 1
    sock.sendall(accept_request(decode_request(pdus.pdu(1, body)), supported, max_pdu)[1])


def response(field: int, message_id: int, status: int, uid: str = "") -> bytes:
    """Give a P-DATA-TF with a response's command set."""
    elements = [(0x0100, pdus.us(field)), (0x0120, pdus.us(message_id)), (0x0800, pdus.us(0x101))]
    elements += [(0x0900, pdus.us(status))]
    if uid:
        elements.append((0x1000, pdus.ui(uid)))
    context = ECHO if field == 0x8030 else IMAGE
    return pdus.p_data((context, COMMAND | LAST, pdus.command(*elements)))


def dataset_of(sock: socket.socket) -> bytes:
    """Read a C-STORE's PDUs to the last one and give its dataset."""
    data, last = b"", False
    while not last:
        kind, body = pdus.read_pdu(sock)
        if kind != 4:
            return b"ended by %d" % kind
        position = 0
        while position < len(body):
            length, _, control = struct.unpack_from(">IBB", body, position)
            if not control & COMMAND:
                data += body[position + 6 : position + 4 + length]
                last = bool(control & LAST)
            position += 4 + length
    return data


def opened(port: int, deadlines: Deadlines = PATIENT) -> RequestedAssociation:
    """Open an association with the peer of the test."""
    return open_association("127.0.0.1", port, "US", "THEM", PROPOSALS, deadlines)


def stored(association: RequestedAssociation, dataset: bytes = b"pixels") -> int:
    """Send a dataset in one piece."""
    return association.send_store(IMAGE, 1, CT, "1.2.3", [dataset], len(dataset))


@pytest.mark.parametrize("max_pdu", [0, 128, 4096, 16384, 10_000_000])
def test_a_dataset_arrives_whole_whatever_pdu_length_the_peer_takes(max_pdu: int) -> None:
    """No PDU is longer than the peer announced, the bytes are the ones given, and so the status."""
    wanted = bytes(range(256)) * 300
    got = b""

    def script(sock: socket.socket) -> None:
        nonlocal got
        accepts(sock, max_pdu=max_pdu)
        got = dataset_of(sock)
        sock.sendall(response(0x8001, 1, 0xB000, "1.2.3"))
        assert pdus.read_pdu(sock)[0] == 5
        sock.sendall(pdus.RELEASE_RP)

    with a_peer(script) as port, opened(port) as association:
        chunks = [wanted[:1000], memoryview(wanted)[1000:70000], bytearray(wanted[70000:])]
        assert association.send_store(IMAGE, 1, CT, "1.2.3", chunks, len(wanted)) == 0xB000
    assert got == wanted


def test_no_pdu_is_longer_than_the_peer_takes() -> None:
    """The length that it announced counts the PDV headers (PS3.8 D.1)."""
    lengths = []

    def script(sock: socket.socket) -> None:
        accepts(sock, max_pdu=1000)
        for _ in range(12):
            kind, body = pdus.read_pdu(sock)
            assert kind == 4
            lengths.append(len(body))
        sock.sendall(response(0x8001, 1, 0))
        pdus.read_pdu(sock)

    with a_peer(script) as port, opened(port) as association:
        stored(association, bytes(994 * 11))
    assert max(lengths) == 1000


def test_the_last_fragment_is_withheld_until_the_last_byte_is_given() -> None:
    """A source that finds its bytes changed raises, and the peer gets A-ABORT, not an instance."""
    got = b""

    def script(sock: socket.socket) -> None:
        nonlocal got
        accepts(sock)
        got = dataset_of(sock)

    def changed() -> Iterator[bytes]:
        yield bytes(50_000)
        raise LookupError("the digest differs")

    with (
        a_peer(script) as port,
        pytest.raises(LookupError),
        opened(port) as association,
    ):
        association.send_store(IMAGE, 1, CT, "1.2.3", changed(), 50_002)
    assert got == b"ended by 7"


@pytest.mark.parametrize("told", [3, 7, 0])
def test_a_length_that_is_not_the_chunks_is_a_mistake_of_ours(told: int) -> None:
    """And no instance for the peer."""
    with a_peer(lambda sock: (accepts(sock), dataset_of(sock), None)[-1]) as port:
        association = opened(port)
        with pytest.raises(ValueError, match="length"):
            association.send_store(IMAGE, 1, CT, "1.2.3", [b"five5"], told)
        assert association.ended


def test_an_echo_is_answered() -> None:
    """In the Verification context, without being told which it is."""

    def script(sock: socket.socket) -> None:
        accepts(sock)
        pdus.read_pdu(sock)
        sock.sendall(response(0x8030, 1, 0))
        pdus.read_pdu(sock)
        sock.sendall(pdus.RELEASE_RP)

    with a_peer(script) as port, opened(port) as association:
        assert association.echo() == 0


@pytest.mark.parametrize(
    "answer",
    [
        response(0x8001, 2, 0),
        response(0x8001, 1, 0, "1.2.4"),
        response(0x8030, 1, 0),
        response(0x0001, 1, 0),
    ],
)
def test_the_answer_to_another_request_is_not_taken_for_ours(answer: bytes) -> None:
    """Another message ID, another instance, another kind: the outcome is unknown."""

    def script(sock: socket.socket) -> None:
        accepts(sock)
        dataset_of(sock)
        sock.sendall(answer)
        assert pdus.read_pdu(sock)[0] == 7

    with a_peer(script) as port, pytest.raises(WrongAnswer):
        stored(opened(port))


def _then(*steps: bytes | Script) -> Script:
    def script(sock: socket.socket) -> None:
        accepts(sock)
        dataset_of(sock)
        for step in steps:
            if callable(step):
                step(sock)
            else:
                sock.sendall(step)

    return script


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (_then(pdus.ABORT), PeerAborted),
        (_then(), ConnectionLost),
        (_then(b"\x04\0\0"), ConnectionLost),
        (_then(pdus.RELEASE_RQ), ConnectionLost),
        (_then(pdus.pdu(2, bytes(68))), ProtocolViolated),
        (_then(pdus.pdu(4, b"", length=0x7FFFFFFF)), ProtocolViolated),
        (_then(lambda sock: sock.recv(1) and None), PeerTimedOut),
        (_then(b"\x04\0\0", lambda sock: sock.recv(1) and None), PeerTimedOut),
    ],
)
def test_no_answer_is_an_unknown_outcome_in_time(
    script: Script, error: type[UpperLayerError]
) -> None:
    """Abort, loss, release, nonsense or silence instead of the answer."""
    with a_peer(script) as port:
        association = opened(port, HASTY if error is PeerTimedOut else PATIENT)
        with pytest.raises(error):
            stored(association)
        assert association.ended
        association.release()
        association.abort()


def test_a_peer_that_stops_reading_is_given_up_in_time() -> None:
    """A write has its deadline, however large the dataset is."""
    done = threading.Event()

    def script(sock: socket.socket) -> None:
        accepts(sock)
        done.wait(120)

    with a_peer(script) as port:
        association = opened(port, HASTY)
        began = time.monotonic()
        with pytest.raises(PeerTimedOut):
            stored(association, bytes(64_000_000))
        assert time.monotonic() - began < PATIENT.write
        done.set()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (pdus.pdu(3, bytes((0, 1, 1, 7))), AssociationRejected),
        (pdus.ABORT, PeerAborted),
        (b"", ConnectionLost),
        (pdus.RELEASE_RP, ProtocolViolated),
        (pdus.pdu(2, b"short"), ProtocolViolated),
        (pdus.pdu(2, b"", length=0x7FFFFFFF), ProtocolViolated),
    ],
)
def test_an_association_that_is_not_accepted_says_why(
    answer: bytes, error: type[UpperLayerError]
) -> None:
    """Rejected, aborted, closed, nonsense."""

    def script(sock: socket.socket) -> None:
        pdus.read_pdu(sock)
        sock.sendall(answer)

    with a_peer(script) as port, pytest.raises(error):
        opened(port)


@pytest.mark.parametrize(("rejection", "retryable"), [((1, 1, 3), False), ((2, 3, 2), True)])
def test_a_rejection_tells_whether_to_try_again(
    rejection: tuple[int, int, int], retryable: bool
) -> None:
    """Permanent and transient (PS3.8 Table 9-21)."""

    def script(sock: socket.socket) -> None:
        pdus.read_pdu(sock)
        sock.sendall(pdus.pdu(3, bytes((0, *rejection))))

    with a_peer(script) as port, pytest.raises(AssociationRejected) as told:
        opened(port)
    assert (told.value.result, told.value.source, told.value.reason) == rejection
    assert told.value.retryable is retryable


def test_a_silent_acceptor_is_given_up_in_time() -> None:
    """No wait without an end."""
    done = threading.Event()
    with a_peer(lambda _: done.wait(120) and None) as port:
        with pytest.raises(PeerTimedOut):
            opened(port, Deadlines(associate=0.3))
        done.set()


def test_a_closed_port_is_told() -> None:
    """It may help to try later."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionFailed) as told:
        opened(port)
    assert told.value.retryable


def test_a_host_that_is_no_name_is_told() -> None:
    """Python's own error for it is no OSError."""
    with pytest.raises(ConnectionFailed):
        open_association("a..b", 104, "US", "PACS", [Proposal(1, CT, (IMPLICIT,))], Deadlines())


def test_contexts_that_were_refused_are_told() -> None:
    """And what has no context is not sent."""

    def script(sock: socket.socket) -> None:
        accepts(sock, (Supported(CT, (IMPLICIT,)),))
        pdus.read_pdu(sock)
        sock.sendall(pdus.RELEASE_RP)

    with a_peer(script) as port, opened(port) as association:
        assert not association.contexts
        assert association.refused == {1: 3, 3: 4}
        with pytest.raises(ContextRefused):
            association.echo()


@pytest.mark.parametrize(
    "answer", [pdus.RELEASE_RP, pdus.RELEASE_RQ + pdus.RELEASE_RP, pdus.ABORT, b"", b"\x04\0"]
)
def test_a_release_never_fails(answer: bytes) -> None:
    """Answered, collided, aborted, closed, or half answered."""

    def script(sock: socket.socket) -> None:
        accepts(sock)
        assert pdus.read_pdu(sock)[0] == 5
        sock.sendall(answer)

    with a_peer(script) as port:
        association = opened(port)
        association.release()
        assert association.ended


def test_an_exception_inside_aborts() -> None:
    """The peer is told that the rest does not come."""
    heard = 0

    def script(sock: socket.socket) -> None:
        nonlocal heard
        accepts(sock)
        heard = pdus.read_pdu(sock)[0]

    with a_peer(script) as port, pytest.raises(KeyError), opened(port):
        raise KeyError
    assert heard == 7
