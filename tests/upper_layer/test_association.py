"""An accepted association, spoken to byte by byte."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from node.upper_layer import (
    Association,
    Command,
    CommandField,
    Connection,
    ConnectionLost,
    Deadlines,
    PeerAborted,
    PeerTimedOut,
    ProtocolViolated,
    Status,
    Supported,
)
from tests.upper_layer import pdus
from tests.upper_layer.pdus import COMMAND, CT, EXPLICIT, IMPLICIT, LAST, VERIFICATION

SUPPORTED = (Supported(VERIFICATION, (IMPLICIT,)), Supported(CT, (EXPLICIT,)))
MAX_PDU = 16384
PATIENT = Deadlines()
HASTY = Deadlines(connect=0.2, associate=0.2, idle=0.2, answer=0.2, write=0.2, release=0.2)
ECHO, IMAGE = 1, 3


class Peer:
    """A peer that says exactly what the test wants, and our end of its connection."""

    def __init__(self, deadlines: Deadlines = PATIENT) -> None:
        self.sock, far = pdus.tcp_pair()
        self.connection = Connection(far, "127.0.0.1", SUPPORTED, MAX_PDU, deadlines)

    def says(self, *messages: bytes) -> None:
        """Send bytes."""
        self.sock.sendall(b"".join(messages))

    def association(self) -> Association:
        """Ask for an association and give our end of it."""
        self.says(pdus.associate_rq())
        self.connection.read_request()
        association = self.connection.accept()
        assert pdus.read_pdu(self.sock)[0] == 2
        return association

    def hears(self) -> tuple[int, bytes]:
        """Give the next PDU that we sent; type 0 if we closed."""
        return pdus.read_pdu(self.sock)


@pytest.fixture
def peer() -> Iterator[Peer]:
    """Give a peer that has all the time in the world."""
    yield from _peer(PATIENT)


@pytest.fixture
def hasty() -> Iterator[Peer]:
    """Give a peer that has 0.2 s for everything."""
    yield from _peer(HASTY)


def _peer(deadlines: Deadlines) -> Iterator[Peer]:
    peer = Peer(deadlines)
    yield peer
    peer.sock.close()
    peer.connection.close()


def _aborted(peer: Peer, reason: int) -> bool:
    return peer.hears() == (7, bytes((0, 0, 2, reason)))


def test_a_message_arrives_whole_however_it_is_cut(peer: Peer) -> None:
    """Command and dataset in fragments, several to a PDU."""
    association = peer.association()
    request = pdus.c_store_rq("1.2.3", 5)
    peer.says(
        pdus.p_data((IMAGE, COMMAND, request[:9])),
        pdus.p_data((IMAGE, COMMAND | LAST, request[9:]), (IMAGE, 0, b"one ")),
        pdus.p_data((IMAGE, 0, b""), (IMAGE, 0, b"two "), (IMAGE, LAST, b"three")),
    )
    message = association.receive()
    assert message is not None
    assert (message.command.sop_instance, message.command.message_id) == ("1.2.3", 5)
    assert message.context.transfer_syntax == EXPLICIT
    assert association.read_dataset(100) == b"one two three"


def test_two_messages_in_one_pdu_are_both_heard(peer: Peer) -> None:
    """The second one is not lost (a trap of the stock loop)."""
    association = peer.association()
    echoes = [(ECHO, COMMAND | LAST, pdus.c_echo_rq(n)) for n in (1, 2)]
    peer.says(pdus.p_data(*echoes))
    heard = [association.receive() for _ in range(2)]
    assert [message and message.command.message_id for message in heard] == [1, 2]


def test_an_answer_names_the_message_that_it_answers(peer: Peer) -> None:
    """In the context that it came in."""
    association = peer.association()
    peer.says(pdus.p_data((ECHO, COMMAND | LAST, pdus.c_echo_rq(77))))
    message = association.receive()
    assert message is not None
    association.send(ECHO, message.command.answer(Status.SUCCESS))
    kind, body = peer.hears()
    assert (kind, body[4], body[5]) == (4, ECHO, COMMAND | LAST)
    assert b"\x20\x01\x02\0\0\0" + pdus.us(77) in body


def test_what_the_caller_did_not_read_is_passed_over(peer: Peer) -> None:
    """The next message is found behind it."""
    association = peer.association()
    peer.says(
        pdus.p_data((IMAGE, COMMAND | LAST, pdus.c_store_rq())),
        *(pdus.p_data((IMAGE, 0, bytes(9000))) for _ in range(9)),
        pdus.p_data((IMAGE, LAST, b"end"), (ECHO, COMMAND | LAST, pdus.c_echo_rq())),
    )
    first, second = association.receive(), association.receive()
    assert first is not None
    assert second is not None
    assert second.command.field == CommandField.C_ECHO_RQ


def test_a_released_association_ends_without_an_error(peer: Peer) -> None:
    """A-RELEASE-RP is sent before the connection closes."""
    association = peer.association()
    peer.says(pdus.RELEASE_RQ)
    threading.Timer(0.1, peer.sock.shutdown, (socket.SHUT_WR,)).start()
    assert association.receive() is None
    assert peer.hears() == (6, bytes(4))
    assert association.ended


def test_an_abort_is_told(peer: Peer) -> None:
    """With its source and reason."""
    association = peer.association()
    peer.says(pdus.pdu(7, bytes((0, 0, 2, 1))))
    with pytest.raises(PeerAborted) as told:
        association.receive()
    assert (told.value.source, told.value.reason) == (2, 1)


def test_a_closed_connection_is_told(peer: Peer) -> None:
    """Also inside a PDU's header."""
    association = peer.association()
    peer.says(b"\x04\0\0")
    peer.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionLost):
        association.receive()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (pdus.associate_rq(), 2),
        (pdus.pdu(2, bytes(68)), 2),
        (pdus.RELEASE_RP, 2),
        (pdus.pdu(0, b""), 2),
        (pdus.pdu(255, b""), 2),
        (pdus.pdu(4, b"", length=MAX_PDU + 1), 6),
        (pdus.pdu(4, b"", length=0xFFFFFFFF), 6),
        (pdus.pdu(4, b""), 6),
        (pdus.pdu(5, b"", length=5), 6),
        (pdus.pdu(7, b"", length=0x7FFFFFFF), 6),
        (pdus.pdu(4, b"\0\0\0\x01\x01\x03"), 6),
        (pdus.pdu(4, b"\xff\xff\xff\xff\x01\x03"), 6),
        (pdus.pdu(4, b"\0\0\0\x09\x01\x03abc"), 6),
        (pdus.p_data((ECHO, COMMAND | LAST, b"junk")), 6),
        (pdus.p_data((9, COMMAND | LAST, pdus.c_echo_rq())), 6),
        (pdus.p_data((ECHO, 0, b"data first")), 5),
        (pdus.p_data((ECHO, COMMAND, b"x"), (IMAGE, COMMAND | LAST, b"y")), 5),
        (pdus.p_data((ECHO, COMMAND, bytes(16000))) * 2, 6),
        (pdus.p_data((ECHO, COMMAND, b"x")) + pdus.RELEASE_RQ, 2),
    ],
)  # fmt: skip
def test_what_the_standard_does_not_allow_is_aborted(peer: Peer, said: bytes, reason: int) -> None:
    """With the provider's reason (PS3.8 Table 9-26), before any of an overlong PDU is awaited."""
    association = peer.association()
    peer.says(said)
    began = time.monotonic()
    peer.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(ProtocolViolated):
        association.receive()
    assert time.monotonic() - began < PATIENT.idle
    assert _aborted(peer, reason)


def test_however_small_a_dataset_is_cut_few_fragments_are_held_at_once(peer: Peer) -> None:
    """A peer that sends a byte at a time costs no memory for each."""
    association = peer.association()
    said = bytes(range(200))
    peer.says(
        pdus.p_data((IMAGE, COMMAND | LAST, pdus.c_store_rq("1.2.3"))),
        pdus.p_data(*((IMAGE, LAST * (n == 199), said[n : n + 1]) for n in range(200))),
    )
    association.receive()
    heard = [(len(fragments), b"".join(fragments)) for fragments in association.fragments()]
    assert b"".join(part for _, part in heard) == said
    assert max(count for count, _ in heard) <= 64
    assert len(heard) < 200, "what is here is given at once"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (pdus.p_data((IMAGE, COMMAND | LAST, pdus.c_echo_rq())), 5),
        (pdus.p_data((ECHO, 0, b"another context's")), 5),
        (pdus.RELEASE_RQ, 2),
    ],
)
def test_a_dataset_is_not_interrupted(peer: Peer, said: bytes, reason: int) -> None:
    """By a command, by another context, or by a release."""
    association = peer.association()
    peer.says(pdus.p_data((IMAGE, COMMAND | LAST, pdus.c_store_rq()), (IMAGE, 0, b"begun")), said)
    association.receive()
    peer.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(ProtocolViolated):
        list(association.fragments())
    assert _aborted(peer, reason)


def test_a_small_dataset_that_is_not_small_is_aborted(peer: Peer) -> None:
    """read_dataset keeps no more than its caller allows."""
    association = peer.association()
    peer.says(pdus.p_data((IMAGE, COMMAND | LAST, pdus.c_store_rq()), (IMAGE, 0, bytes(2000))))
    association.receive()
    peer.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(ProtocolViolated):
        association.read_dataset(1999)


@pytest.mark.parametrize("said", [b"", b"\x04", b"\x04\0\0\0\x10\0" + bytes(100)])
def test_a_silent_peer_is_ended_in_time(hasty: Peer, said: bytes) -> None:
    """Between messages, inside a header, inside a PDU; it is told by A-ABORT."""
    association = hasty.association()
    hasty.says(said)
    began = time.monotonic()
    with pytest.raises(PeerTimedOut):
        association.receive()
    assert time.monotonic() - began < PATIENT.idle
    assert _aborted(hasty, 0)


def test_a_pdu_that_trickles_in_is_ended_in_time(hasty: Peer) -> None:
    """Each byte comes in time; the PDU does not."""
    association = hasty.association()
    stop = threading.Event()
    trickle = threading.Thread(target=_trickle, args=(hasty.sock, b"\x04\0\0\0\x10\0", b"\0", stop))
    trickle.start()
    with pytest.raises(PeerTimedOut):
        association.receive()
    stop.set()
    trickle.join()


def test_a_dataset_that_trickles_in_is_ended_in_time(hasty: Peer) -> None:
    """Each PDU comes in time; the dataset is slower than 1 KB/s."""
    association = hasty.association()
    stop = threading.Event()
    first = pdus.p_data((IMAGE, COMMAND | LAST, pdus.c_store_rq()))
    drop = pdus.p_data((IMAGE, 0, b"x"))
    trickle = threading.Thread(target=_trickle, args=(hasty.sock, b"", drop, stop))
    hasty.says(first)
    association.receive()
    trickle.start()
    with pytest.raises(PeerTimedOut):
        list(association.fragments())
    stop.set()
    trickle.join()


def _trickle(sock: socket.socket, first: bytes, drop: bytes, stop: threading.Event) -> None:
    sock.sendall(first)
    while not stop.wait(0.05):
        try:
            sock.sendall(drop)
        except OSError:
            return


def test_a_peer_that_takes_no_answers_is_ended_in_time(hasty: Peer) -> None:
    """A write has a deadline too."""
    association = hasty.association()
    hasty.says(pdus.p_data((ECHO, COMMAND | LAST, pdus.c_echo_rq())))
    message = association.receive()
    assert message is not None
    answer = message.command.answer(Status.SUCCESS)
    with pytest.raises(PeerTimedOut):
        _repeat(association.send, ECHO, answer)


def _repeat(send: Callable[[int, Command], None], context_id: int, command: Command) -> None:
    while True:
        send(context_id, command)


def test_an_idle_association_ends_when_asked(peer: Peer) -> None:
    """It is told by the service user's A-ABORT."""
    association = peer.association()
    threading.Timer(0.1, peer.connection.interrupt).start()
    with pytest.raises(ConnectionLost):
        association.receive()
    assert peer.hears() == (7, bytes(4))


def test_a_busy_association_answers_before_it_ends(peer: Peer) -> None:
    """What is in hand is finished."""
    association = peer.association()
    peer.says(pdus.p_data((IMAGE, COMMAND | LAST, pdus.c_store_rq()), (IMAGE, 0, b"begun")))
    message = association.receive()
    assert message is not None
    peer.connection.interrupt()
    peer.says(pdus.p_data((IMAGE, LAST, b" and ended")))
    assert association.read_dataset(100) == b"begun and ended"
    association.send(IMAGE, message.command.answer(Status.SUCCESS))
    peer.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionLost):
        association.receive()
    assert [peer.hears()[0], peer.hears()[0]] == [4, 7]


@pytest.mark.parametrize(
    "said",
    [
        pdus.RELEASE_RQ,
        pdus.p_data((ECHO, COMMAND | LAST, pdus.c_echo_rq())),
        pdus.pdu(1, b"", length=262145),
        pdus.pdu(1, b"short"),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_association_request_is_aborted(peer: Peer, said: bytes) -> None:
    """Before an association is there (PS3.8 AA-1)."""
    peer.says(said)
    peer.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(ProtocolViolated):
        peer.connection.read_request()
    assert peer.hears()[0] == 7


@pytest.mark.parametrize("said", [b"", b"\x01\0\0"])
def test_a_peer_that_does_not_ask_for_an_association_is_dropped(hasty: Peer, said: bytes) -> None:
    """PS3.8's ARTIM timer."""
    hasty.says(said)
    with pytest.raises(PeerTimedOut):
        hasty.connection.read_request()


def test_an_abort_instead_of_a_request_is_told(peer: Peer) -> None:
    """PS3.8 AA-2."""
    peer.says(pdus.ABORT)
    with pytest.raises(PeerAborted):
        peer.connection.read_request()
