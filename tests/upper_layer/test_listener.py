"""The listening port: many connections, few of which mean well."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from pynetdicom import AE
from structlog.testing import capture_logs

from node.upper_layer import (
    CommandField,
    Connection,
    Deadlines,
    Listener,
    Proposal,
    Status,
    Supported,
    open_association,
    open_listener,
)
from node.upper_layer.names import IMPLICIT_LITTLE, VERIFICATION
from tests.upper_layer import pdus

SUPPORTED = (Supported(VERIFICATION, (IMPLICIT_LITTLE,)),)
PROPOSALS = (Proposal(1, VERIFICATION, (IMPLICIT_LITTLE,)),)


def answer_echoes(connection: Connection) -> None:
    """Serve as a Verification SCP."""
    connection.read_request()
    association = connection.accept()
    while (message := association.receive()) is not None:
        assert message.command.field == CommandField.C_ECHO_RQ
        association.send(1, message.command.answer(Status.SUCCESS))


@contextmanager
def listening(
    serve: Callable[[Connection], None] = answer_echoes,
    max_waiting: int = 256,
    deadlines: Deadlines = Deadlines(),  # noqa: B008 -- frozen
) -> Iterator[Listener]:
    """Listen on a free port while the block runs."""
    listener = open_listener(
        "US", "127.0.0.1", 0, SUPPORTED, serve, max_waiting=max_waiting, deadlines=deadlines
    )
    listener.start()
    try:
        yield listener
    finally:
        listener.drain(0.2)


def echoes(listener: Listener) -> bool:
    """Tell whether a C-ECHO is answered."""
    with open_association("127.0.0.1", listener.port, "ME", "US", PROPOSALS) as association:
        return association.echo() == Status.SUCCESS


def connected(listener: Listener) -> socket.socket:
    """Connect and say nothing."""
    return socket.create_connection(("127.0.0.1", listener.port), 10)


def wait_until(holds: Callable[[], bool], seconds: float = 120) -> bool:
    """Wait until something is so; say whether it became so."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def test_it_is_the_server_of_a_pynetdicom_ae() -> None:
    """Built by AE.make_server, whose title, contexts and longest PDU it keeps."""
    ae = AE(ae_title="OURS")
    ae.maximum_pdu_size = 20000
    ae.add_supported_context(VERIFICATION)
    server = ae.make_server(
        ("127.0.0.1", 0), server_class=Listener, serve=answer_echoes, deadlines=Deadlines()
    )
    assert isinstance(server, Listener)
    assert server.ae_title == "OURS"
    server.start()
    assert echoes(server)
    server.close()


def test_pynetdicom_events_are_refused_rather_than_ignored() -> None:
    """Who binds a handler here learns at once that nothing would call it."""
    ae = AE()
    ae.add_supported_context(VERIFICATION)
    with pytest.raises(ValueError, match="serve"):
        ae.make_server(
            ("127.0.0.1", 0),
            server_class=Listener,
            evt_handlers=[("event", print)],  # type: ignore[list-item]
            serve=answer_echoes,
            deadlines=Deadlines(),
        )


def test_connections_that_say_nothing_lock_nobody_out() -> None:
    """The oldest of them gives way; a peer that speaks is served."""
    with ExitStack() as stack:
        listener = stack.enter_context(listening(max_waiting=8))
        silent = [stack.enter_context(connected(listener)) for _ in range(40)]
        assert echoes(listener)
        assert wait_until(lambda: listener.connections <= 8)
        assert silent[0].recv(1) == b""
        silent[-1].sendall(pdus.associate_rq())
        assert pdus.read_pdu(silent[-1])[0] == 2


def test_a_silent_connection_is_closed_in_time() -> None:
    """PS3.8's ARTIM."""
    with listening(deadlines=Deadlines(associate=0.2)) as listener, connected(listener) as sock:
        assert sock.recv(1) == b""
        assert wait_until(lambda: listener.connections == 0)


def test_a_mistake_of_ours_ends_one_connection_only() -> None:
    """And what it says is not shown to the peer, nor told with its text."""

    def serve(connection: Connection) -> None:
        if connection.read_request().calling_ae_title == "WOE":
            raise ZeroDivisionError("a secret")
        answer = connection.accept().receive()
        assert answer is None

    with capture_logs() as said, listening(serve) as listener, connected(listener) as sock:
        sock.sendall(pdus.associate_rq(calling=b"WOE"))
        assert pdus.read_pdu(sock)[0] in (0, 7)
        assert wait_until(lambda: listener.connections == 0)
        with connected(listener) as other:
            other.sendall(pdus.associate_rq())
            assert pdus.read_pdu(other)[0] == 2
    assert said[0]["exception"] == "ZeroDivisionError"
    assert "secret" not in str(said)


def test_descriptors_beyond_1024_are_as_good_as_any() -> None:
    """Nothing here uses select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        with listening() as listener, ExitStack() as stack:
            for _ in range(1100):
                stack.enter_context(socket.socket())
            assert echoes(listener)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_may_connect_at_once() -> None:
    """While nobody accepts, the kernel keeps them for us: a hospital's morning, after a restart."""
    listener = open_listener("US", "127.0.0.1", 0, SUPPORTED, answer_echoes)
    with ExitStack() as stack:
        waiting = [stack.enter_context(connected(listener)) for _ in range(100)]
        listener.start()
        waiting[-1].sendall(pdus.associate_rq())
        assert pdus.read_pdu(waiting[-1])[0] == 2
    listener.drain(0.2)


def test_no_descriptor_left_is_survived() -> None:
    """The next peer is served once there is one again."""
    with listening() as listener:
        assert echoes(listener)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        sock = socket.socket()
        resource.setrlimit(resource.RLIMIT_NOFILE, (sock.fileno() + 1, hard))
        try:
            sock.settimeout(100)
            sock.connect(("127.0.0.1", listener.port))
            time.sleep(0.2)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        sock.sendall(pdus.associate_rq())
        assert pdus.read_pdu(sock)[0] == 2
        sock.close()
        assert echoes(listener)


def test_draining_ends_idle_associations_at_once() -> None:
    """They hear A-ABORT, and nobody new is let in."""
    with listening() as listener, connected(listener) as sock:
        sock.sendall(pdus.associate_rq())
        assert pdus.read_pdu(sock)[0] == 2
        began = time.monotonic()
        assert listener.drain(110)
        assert time.monotonic() - began < 90
        assert pdus.read_pdu(sock)[0] == 7
        with pytest.raises(OSError, match="refused"):
            connected(listener)


def test_draining_cuts_what_does_not_end() -> None:
    """After its time, whatever a peer does."""
    begun = threading.Event()

    def serve(connection: Connection) -> None:
        connection.read_request()
        association = connection.accept()
        association.receive()
        begun.set()
        list(association.fragments())

    with listening(serve) as listener, connected(listener) as sock:
        sock.sendall(pdus.associate_rq())
        pdus.read_pdu(sock)
        sock.sendall(pdus.p_data((1, pdus.COMMAND | pdus.LAST, pdus.c_store_rq())))
        assert begun.wait(100)
        assert not listener.drain(0.3)
        assert wait_until(lambda: listener.connections == 0)
