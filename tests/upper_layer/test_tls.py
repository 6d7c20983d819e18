"""TLS, accepting and requesting, with certificates made for the test."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trustme

from node.upper_layer import (
    Connection,
    Deadlines,
    HandshakeFailed,
    Listener,
    PeerTimedOut,
    Proposal,
    Status,
    Supported,
    UpperLayerError,
    client_context,
    open_association,
    open_listener,
    server_context,
)
from node.upper_layer.names import IMPLICIT_LITTLE, VERIFICATION
from node.upper_layer.wire import Wire
from tests.upper_layer import pdus
from tests.upper_layer.certificates import Certificates

SUPPORTED = (Supported(VERIFICATION, (IMPLICIT_LITTLE,)),)
PROPOSALS = (Proposal(1, VERIFICATION, (IMPLICIT_LITTLE,)),)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """Give a certificate authority in a folder of its own."""
    return Certificates(tmp_path, trustme.CA())


@contextmanager
def listening(
    certificates: Certificates, seen: list[str], deadlines: Deadlines
) -> Iterator[Listener]:
    """Listen with TLS, noting each peer's certificate, while the block runs."""

    def serve(connection: Connection) -> None:
        connection.read_request()
        seen.append(connection.certificate_sha256)
        association = connection.accept()
        while (message := association.receive()) is not None:
            association.send(1, message.command.answer(Status.SUCCESS))

    node = certificates.issue("node", "127.0.0.1")
    tls = server_context(*node, certificates.ca)
    listener = open_listener("US", "127.0.0.1", 0, SUPPORTED, serve, tls, deadlines)
    listener.start()
    try:
        yield listener
    finally:
        listener.drain(0.2)


def test_a_peer_with_a_certificate_of_ours_is_served(certificates: Certificates) -> None:
    """And its certificate's digest is known, to pin it to a peer."""
    seen: list[str] = []
    chain, key = certificates.issue("peer", "ct1.hospital.example")
    context = client_context(certificates.ca, chain, key)
    with (
        listening(certificates, seen, Deadlines()) as listener,
        open_association(
            "127.0.0.1", listener.port, "ME", "US", PROPOSALS, tls=context
        ) as association,
    ):
        assert association.echo() == Status.SUCCESS
    der = ssl.PEM_cert_to_DER_cert(chain.read_text())
    assert seen == [hashlib.sha256(der).hexdigest()]


@pytest.mark.parametrize("whose", ["nobody", "stranger"])
def test_a_peer_without_a_certificate_of_ours_is_not(
    certificates: Certificates, whose: str
) -> None:
    """No certificate, or one of another authority: no association."""
    context = client_context(certificates.ca)
    if whose == "stranger":
        context.load_cert_chain(*certificates.issue("stranger", "x.example", trustme.CA()))
    seen: list[str] = []
    with listening(certificates, seen, Deadlines()) as listener, pytest.raises(UpperLayerError):
        open_association("127.0.0.1", listener.port, "ME", "US", PROPOSALS, tls=context)
    assert not seen


def test_a_server_that_is_not_who_it_should_be_is_not_spoken_to(
    certificates: Certificates, tmp_path: Path
) -> None:
    """A certificate of another authority ends the handshake on our side."""
    other = tmp_path / "other.crt"
    trustme.CA().cert_pem.write_to_path(str(other))
    chain, key = certificates.issue("peer", "ct1.hospital.example")
    context = client_context(other, chain, key)
    with listening(certificates, [], Deadlines()) as listener, pytest.raises(HandshakeFailed):
        open_association("127.0.0.1", listener.port, "ME", "US", PROPOSALS, tls=context)


@pytest.mark.parametrize("said", [b"", b"\x16\x03", pdus.associate_rq(), b"\x80" * 1000])
def test_noise_on_the_tls_port_holds_nobody_up(certificates: Certificates, said: bytes) -> None:
    """Silence, half a ClientHello, plain DICOM: closed in time, and the next peer is served."""
    seen: list[str] = []
    context = client_context(certificates.ca, *certificates.issue("peer", "ct1.hospital.example"))
    with listening(certificates, seen, Deadlines(connect=0.5)) as listener:
        noisy = [socket.create_connection(("127.0.0.1", listener.port), 10) for _ in range(20)]
        for sock in noisy:
            sock.sendall(said)
        with open_association(
            "127.0.0.1", listener.port, "ME", "US", PROPOSALS, tls=context
        ) as association:
            assert association.echo() == Status.SUCCESS
        for sock in noisy:
            while _received(sock):
                pass
            sock.close()


def test_nobody_waits_for_the_handshake_of_another(certificates: Certificates) -> None:
    """Silent TLS clients have a quarter of an hour here, and a peer that speaks is served now."""
    context = client_context(certificates.ca, *certificates.issue("peer", "ct1.hospital.example"))
    with listening(certificates, [], Deadlines(connect=900)) as listener, ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(socket.create_connection(("127.0.0.1", listener.port), 100))
        with open_association(
            "127.0.0.1", listener.port, "ME", "US", PROPOSALS, Deadlines(connect=100), context
        ) as association:
            assert association.echo() == Status.SUCCESS
            assert listener.connections == 11


def test_a_handshake_that_trickles_in_is_ended_in_time(certificates: Certificates) -> None:
    """Each byte comes in time; the ClientHello does not. The deadline is one for all of it."""
    with (
        listening(certificates, [], Deadlines(connect=0.5)) as listener,
        socket.create_connection(("127.0.0.1", listener.port), 100) as sock,
        pytest.raises((ConnectionResetError, BrokenPipeError)),
    ):
        _trickle(sock, b"\x16\x03\x01\x02\x00" + bytes(512))


@pytest.fixture
def ends(certificates: Certificates) -> Iterator[tuple[Wire, ssl.SSLSocket]]:
    """Give a wire over TLS and the peer's socket."""
    context = client_context(certificates.ca, *certificates.issue("peer", "ct1.hospital.example"))
    ours = server_context(*certificates.issue("node", "127.0.0.1"), certificates.ca)
    near, far = pdus.tcp_pair()
    accepted: list[ssl.SSLSocket] = []
    thread = threading.Thread(
        target=lambda: accepted.append(ours.wrap_socket(far, server_side=True))
    )
    thread.start()
    peer = context.wrap_socket(near, server_hostname="127.0.0.1")
    thread.join()
    wire = Wire(accepted[0], 65536)
    yield wire, peer
    wire.close()
    peer.close()


def test_a_peer_that_trickles_over_tls_is_ended_in_time(
    ends: tuple[Wire, ssl.SSLSocket],
) -> None:
    """Each record comes in time; what is waited for does not."""
    wire, peer = ends
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(0.05):
            peer.sendall(b"x")

    thread = threading.Thread(target=trickle)
    thread.start()
    with pytest.raises(PeerTimedOut):
        wire.fill(60_000, time.monotonic() + 0.5, "a test")
    stop.set()
    thread.join()


def test_a_peer_that_reads_slowly_over_tls_is_ended_in_time(
    ends: tuple[Wire, ssl.SSLSocket],
) -> None:
    """It takes something again and again, and not all of it by the deadline."""
    wire, peer = ends
    stop = threading.Event()

    def sip() -> None:
        while not stop.wait(0.05):
            peer.recv(16384)

    thread = threading.Thread(target=sip)
    thread.start()
    with pytest.raises(PeerTimedOut):
        wire.send([bytes(30_000_000)], 0.5, "a test")
    stop.set()
    thread.join()


def _trickle(sock: socket.socket, said: bytes) -> None:
    for byte in said:
        sock.sendall(bytes((byte,)))
        time.sleep(0.1)


def _received(sock: socket.socket) -> bytes:
    try:
        return sock.recv(4096)
    except ConnectionResetError:
        return b""


def test_tls_older_than_1_2_is_refused(certificates: Certificates) -> None:
    """PS3.15 B.12 (BCP 195): also a client that would take less gets 1.2 or nothing."""
    node = server_context(*certificates.issue("node", "127.0.0.1"), certificates.ca)
    peer = client_context(certificates.ca)
    assert node.minimum_version == peer.minimum_version == ssl.TLSVersion.TLSv1_2
    names = {cipher["name"] for cipher in node.get_ciphers()}
    assert names
    assert not {name for name in names if not name.startswith(("TLS_", "ECDHE-", "DHE-"))}
    assert not {name for name in names if "CBC" in name or name.endswith("-SHA")}
