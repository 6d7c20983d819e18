"""One socket's deadlines, which the kernel's timeouts keep."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from node.upper_layer import PeerTimedOut
from node.upper_layer.wire import Wire

CAPACITY = 4096


@pytest.fixture
def ends() -> Iterator[tuple[Wire, socket.socket]]:
    """Give a wire and the peer's socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = socket.create_connection(server.getsockname())
        wire = Wire(server.accept()[0], CAPACITY)
    yield wire, peer
    wire.close()
    peer.close()


def _in(seconds: float) -> float:
    return time.monotonic() + seconds


def test_a_timeout_of_the_kernel_is_no_deadline(ends: tuple[Wire, socket.socket]) -> None:
    """The kernel's is the shorter one: a peer that speaks after it and in time is heard."""
    wire, peer = ends
    peer.sendall(b"first")
    wire.fill(5, _in(120), "a test")
    wire.take(5)
    # As if much of the deadline were over: the kernel gives up every 10 ms from now on.
    wire._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, 10_000))
    threading.Timer(0.3, peer.sendall, (b"later",)).start()
    wire.fill(5, _in(120), "a test")
    assert bytes(wire.take(5)) == b"later"


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.0001, 0.3])
def test_a_deadline_ends_a_wait(ends: tuple[Wire, socket.socket], seconds: float) -> None:
    """Not before it, however short it is, and after one that was long."""
    wire, peer = ends
    peer.sendall(b"first")
    wire.fill(5, _in(120), "a test")
    wire.take(5)
    deadline = _in(seconds)
    with pytest.raises(PeerTimedOut):
        wire.fill(1, deadline, "a test")
    assert time.monotonic() >= deadline


def test_a_deadline_ends_a_send(ends: tuple[Wire, socket.socket]) -> None:
    """To a peer that does not read."""
    wire, _ = ends
    began = time.monotonic()
    with pytest.raises(PeerTimedOut):
        wire.send([bytes(64 * 1024 * 1024)], 0.3, "a test")
    assert time.monotonic() - began >= 0.3


def test_a_peer_that_reads_slowly_gets_all_of_it(ends: tuple[Wire, socket.socket]) -> None:
    """Pieces that the kernel took in part are gone on with."""
    wire, peer = ends
    wire._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    pieces = [bytes([n]) * 40_000 for n in range(20)]
    got = bytearray()

    def read() -> None:
        while len(got) < 800_000:
            got.extend(peer.recv(30_000))
            time.sleep(0.005)

    reader = threading.Thread(target=read)
    reader.start()
    # The kernel gives up while a piece is on its way, again and again.
    wire._timeouts[socket.SO_SNDTIMEO] = 60.0
    wire._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 0, 10_000))
    wire.send(pieces, 120, "a test")
    reader.join()
    assert bytes(got) == b"".join(pieces)
