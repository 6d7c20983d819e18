"""Peers that mean harm: no hang, no crash, nothing left behind, and the others are served."""

from __future__ import annotations

import random
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import trustme

from node.upper_layer import Deadlines, Proposal, Status, client_context, open_association
from node.upper_layer.names import IMPLICIT_LITTLE, VERIFICATION
from tests.hostile.fuzzer import Fuzzer
from tests.ports import free_port
from tests.receive.receiving import ct, encoded, send, sending, wait_until
from tests.receive.running import Role, a_role
from tests.upper_layer import pdus
from tests.upper_layer.certificates import Certificates

pytestmark = [pytest.mark.hostile, pytest.mark.timeout(400)]

SENDERS = 4
IDLE_SECONDS = 3
MEGABYTE = 1024 * 1024


@dataclass
class Watch:
    """What C-ECHO met while the others did their worst."""

    slowest: float = 0.0
    echoes: int = 0
    failures: int = 0


@pytest.fixture(scope="module")
def tls_port() -> int:
    """Give the role's TLS port."""
    return free_port()


def _tls_section(folder: Path, port: int) -> str:
    certificates = Certificates(folder, trustme.CA())
    certificate, key = certificates.issue("node", "127.0.0.1")
    certificates.issue("peer", "ct1.hospital.example")
    return (
        f'[receive.tls]\nport = {port}\ncertificate = "{certificate}"\n'
        f'private_key = "{key}"\nclient_ca = "{certificates.ca}"\n'
    )


@pytest.fixture(scope="module")
def role(tmp_path_factory: pytest.TempPathFactory, tls_port: int) -> Iterator[Role]:
    """Run one receive role for all tests of this file: it has to survive each of them."""
    folder = tmp_path_factory.mktemp("hostile")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    with a_role(folder) as role:
        config = folder / "node.toml"
        text = config.read_text() + f"idle_timeout_seconds = {IDLE_SECONDS}\n"
        text += "max_instance_bytes = 100000\nmax_associations_per_address = 32\n"
        config.write_text(text + _tls_section(folder, tls_port))
        role.start()
        with sending(role.port) as association:
            assert send(association, ct()) == Status.SUCCESS
        yield role
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def echoing(port: int) -> Iterator[Watch]:
    """Ask C-ECHO again and again while the block runs, each on an association of its own."""
    watch = Watch()
    stop = threading.Event()

    def ask() -> None:
        proposals = [Proposal(1, VERIFICATION, (IMPLICIT_LITTLE,))]
        while not (stop.wait(0.1) and watch.echoes):
            began = time.monotonic()
            try:
                with open_association(
                    "127.0.0.1", port, "ECHO", "DEIDNODE", proposals, Deadlines(associate=60)
                ) as association:
                    watch.failures += association.echo() != Status.SUCCESS
            except Exception:  # noqa: BLE001 -- counted, whatever it was
                watch.failures += 1
            watch.slowest = max(watch.slowest, time.monotonic() - began)
            watch.echoes += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join()


@contextmanager
def unharmed(role: Role) -> Iterator[None]:
    """Check that the block leaves the role as it was: alive, no bigger, nothing in its spool."""
    assert role.process
    process = psutil.Process(role.process.pid)
    assert wait_until(lambda: process.num_threads() < 8, 100)
    threads, descriptors = process.num_threads(), process.num_fds()
    memory = process.memory_info().rss
    outside = sorted(path.name for path in role.folder.iterdir())
    with echoing(role.port) as watch:
        yield
    assert role.process.poll() is None
    assert (watch.failures, watch.echoes > 0) == (0, True)
    assert watch.slowest < 60
    settled = lambda: process.num_threads() <= threads and process.num_fds() <= descriptors  # noqa: E731
    assert wait_until(settled, 100), (process.num_threads(), process.num_fds())
    assert wait_until(lambda: not list(role.inbox.spool.iterdir()))
    assert process.memory_info().rss < memory + 60 * MEGABYTE
    assert sorted(path.name for path in role.folder.iterdir()) == outside
    with sending(role.port) as association:
        assert send(association, ct(2)) == Status.SUCCESS


def fuzz(port: int, count: int, seed: int) -> int:
    """Send so many PDUs from several threads; give how many were sent."""
    dataset = encoded(ct(3))[2]
    sent = [0] * SENDERS

    def run(number: int) -> None:
        fuzzer = Fuzzer(seed + number, dataset)
        while sent[number] < count // SENDERS:
            session = fuzzer.session()
            sent[number] += len(session)
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 100) as sock:
                sock.settimeout(100)
                for said in session:
                    sock.sendall(said)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass

    threads = [threading.Thread(target=run, args=(number,)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(sent)


def test_five_thousand_odd_pdus_do_no_harm(role: Role) -> None:
    """Malformed, out of state, with lengths that lie; each session ends."""
    with unharmed(role):
        assert fuzz(role.port, 5000, seed=1) >= 5000


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_odd_pdus_do_no_harm(role: Role) -> None:
    """The same for longer."""
    with unharmed(role):
        assert fuzz(role.port, 100_000, seed=1000) >= 100_000


def _from_elsewhere(port: int) -> socket.socket:
    """Connect from another address than the peers that mean well."""
    return socket.create_connection(("127.0.0.1", port), 100, source_address=("127.0.0.2", 0))


def _half_open(stack: ExitStack, port: int, number: int) -> socket.socket:
    """Connect and stop somewhere before, within or after the association request."""
    sock = stack.enter_context(_from_elsewhere(port))
    request = pdus.associate_rq()
    store = pdus.p_data((3, pdus.COMMAND | pdus.LAST, pdus.c_store_rq()), (3, 0, b"begun"))
    said = (
        b"",
        b"\x01",
        request[:5],
        request[:-1],
        request,
        request + b"\x04\0\0",
        request + store,
    )
    sock.sendall(said[number % len(said)])
    return sock


def _many_half_open(role: Role, count: int) -> None:
    with unharmed(role), ExitStack() as stack:
        socks = [_half_open(stack, role.port, number) for number in range(count)]
        with sending(role.port, calling="MODALITY") as association:
            assert send(association, ct(4)) == Status.SUCCESS
        _wait_for_their_end(socks)


def _wait_for_their_end(socks: list[socket.socket]) -> None:
    """Read from each until the role has closed it, all of them in one time."""
    began = time.monotonic()
    for sock in socks:
        sock.settimeout(max(1.0, 120 - (time.monotonic() - began)))
        with suppress(ConnectionResetError):
            while sock.recv(4096):
                pass


def test_two_hundred_half_open_connections_hold_nobody_up(role: Role) -> None:
    """Each is closed in its time, while a modality sends."""
    _many_half_open(role, 200)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_thousand_half_open_connections_hold_nobody_up(role: Role) -> None:
    """The same with more."""
    _many_half_open(role, 1000)


def _trickling(port: int, until: float) -> None:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 100) as sock:
        for byte in pdus.associate_rq():
            if time.monotonic() > until:
                return
            sock.sendall(bytes((byte,)))
            time.sleep(1)


def test_a_slow_loris_is_cut(role: Role) -> None:
    """A byte now and then keeps no connection alive beyond its deadline."""
    with unharmed(role):
        began = time.monotonic()
        threads = [
            threading.Thread(target=_trickling, args=(role.port, began + 150)) for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began < 120


def test_a_peer_that_reads_no_answers_is_held_back(role: Role) -> None:
    """Thousands of requests and no reading: TCP holds it back, memory stays flat, it is cut."""
    echo = pdus.p_data((1, pdus.COMMAND | pdus.LAST, pdus.c_echo_rq()))
    with unharmed(role), socket.create_connection(("127.0.0.1", role.port), 100) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(pdus.associate_rq())
        sock.settimeout(100)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            _repeat(lambda: sock.sendall(echo * 1000))


def test_an_endless_dataset_is_cut(role: Role) -> None:
    """More than max_instance_bytes and a little: A-ABORT, and the disk has nothing of it."""
    piece = pdus.p_data((3, 0, bytes(200_000)))
    with unharmed(role), socket.create_connection(("127.0.0.1", role.port), 100) as sock:
        sock.sendall(pdus.associate_rq())
        assert pdus.read_pdu(sock)[0] == 2
        sock.sendall(pdus.p_data((3, pdus.COMMAND | pdus.LAST, pdus.c_store_rq())))
        sock.settimeout(100)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            _repeat(lambda: sock.sendall(piece))


def _repeat(step: Callable[[], None]) -> None:
    while True:
        step()


def test_connections_that_come_and_go_cost_nothing(role: Role) -> None:
    """A port scanner, a health check: a thousand connects and closes."""
    with unharmed(role):
        for _ in range(1000):
            socket.create_connection(("127.0.0.1", role.port), 10).close()


def test_noise_on_the_tls_port_does_no_harm(role: Role, tls_port: int) -> None:
    """Silence, half a ClientHello, plain DICOM, chance; and all of it behind a good handshake."""
    chance = random.Random(5)
    context = client_context(
        role.folder / "ca.crt", role.folder / "peer.crt", role.folder / "peer.key"
    )
    with unharmed(role), ExitStack() as stack:
        socks = [
            stack.enter_context(socket.create_connection(("127.0.0.1", tls_port), 100))
            for _ in range(120)
        ]
        for number, sock in enumerate(socks):
            noise = chance.randbytes(chance.choice((1, 50, 5000)))
            said = (b"", b"\x16\x03\x01\x02\0\x01", pdus.associate_rq(), noise)
            if number % 3 == 0:
                secured = context.wrap_socket(sock.dup(), server_hostname="127.0.0.1")
                stack.enter_context(secured)
                with suppress(OSError):
                    secured.sendall(said[number // 3 % 4])
            with suppress(OSError):
                sock.sendall(said[number % 4])
        _wait_for_their_end(socks)


@pytest.fixture(scope="module")
def fuzzed(role: Role) -> Role:
    """Give a role that has met the fuzzer."""
    fuzz(role.port, 4000, seed=77)
    return role


def test_nothing_that_a_peer_says_is_in_the_log(fuzzed: Role) -> None:
    """No UID, no dataset value, no exception text; and no line for each bad byte."""
    log = (fuzzed.folder / "log").read_text()
    for said in ("1.2.3.4", "etc/passwd", "DROP TABLE", "Traceback", "MRN0", "Quillfeather"):
        assert said not in log
    assert "\x1b" not in log


def test_no_peer_found_a_mistake_of_ours(fuzzed: Role) -> None:
    """Every end was one that the loop knows; none was an exception that it did not expect."""
    ends = [event for event in fuzzed.log if event["event"] == "association_aborted"]
    assert len(ends) > 100
    assert sum(int(str(event.get("untold", 0))) for event in fuzzed.log) > 0
    assert (fuzzed.folder / "log").stat().st_size < 3 * MEGABYTE
    assert [event for event in ends if "exception" in event] == []


def test_nothing_hostile_was_kept(fuzzed: Role) -> None:
    """What arrived is what good peers sent, and whatever of the noise was a whole instance."""
    for path in fuzzed.inbox.arrived.iterdir():
        assert path.stat().st_size < 200_000
        assert path.read_bytes()[128:132] == b"DICM"
    assert not list(fuzzed.inbox.studies.iterdir())
