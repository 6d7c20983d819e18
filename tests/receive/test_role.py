"""The role as it is run: one per inbox, killed at random, asked to stop."""

from __future__ import annotations

import json
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from node.inbox.header import read_header
from node.upper_layer import UpperLayerError
from tests.receive.receiving import ct, encoded, send, sending, wait_until
from tests.receive.running import Role, a_role
from tests.upper_layer import pdus
from tests.upper_layer.certificates import Certificates


@pytest.fixture
def role(tmp_path: Path) -> Iterator[Role]:
    """Give a role of this test."""
    with a_role(tmp_path) as role:
        yield role


def test_a_second_role_on_the_same_inbox_does_not_start(role: Role) -> None:
    """One clear line, exit 1; the first one is not disturbed."""
    role.start()
    second = role.spawn()
    assert second.wait(100) == 1
    assert "another receive role" in (role.folder / "log").read_text()
    with sending(role.port) as association:
        assert send(association, ct()) == 0
    assert role.stop() == 0


def test_a_port_that_is_taken_is_told(role: Role) -> None:
    """One clear line, exit 1."""
    with socket.create_server(("127.0.0.1", role.port)):
        assert role.spawn().wait(100) == 1
    assert "cannot listen" in (role.folder / "log").read_text()


def test_a_role_that_gets_one_of_its_ports_only_takes_no_peer(role: Role) -> None:
    """The plain port is free, the TLS port is not: none is served."""
    certificate, key = Certificates(role.folder, trustme.CA()).issue("node", "127.0.0.1")
    config = role.folder / "node.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config.write_text(
            config.read_text() + f"[receive.tls]\nport = {taken.getsockname()[1]}\n"
            f'certificate = "{certificate}"\nprivate_key = "{key}"\nclient_ca = "{certificate}"\n'
        )
        assert role.spawn().wait(100) == 1
    log = (role.folder / "log").read_text()
    assert "cannot listen" in log
    assert "listener_opened" not in log


def test_tls_files_that_are_none_are_told(role: Role) -> None:
    """One clear line, exit 2: only a person can mend them."""
    other = role.folder / "other.crt"
    other.write_text("no certificate")
    _take_tls_files_from(role, other)
    assert role.spawn().wait(100) == 2
    assert "[receive.tls]" in (role.folder / "log").read_text()


def test_tls_files_that_cannot_be_read_now_are_tried_again(role: Role) -> None:
    """One clear line, exit 1: a disk that fails is no mistake in the configuration."""
    _take_tls_files_from(role, Path("/proc/self/mem"))  # a file whose first byte gives EIO
    assert role.spawn().wait(100) == 1
    told = (role.folder / "log").read_text()
    assert "[receive.tls]: a file cannot be read: Input/output error" in told


def _take_tls_files_from(role: Role, file: Path) -> None:
    """Configure TLS with one file for all."""
    with (role.folder / "node.toml").open("a") as config:
        config.write(
            f'[receive.tls]\ncertificate = "{file}"\nprivate_key = "{file}"\nclient_ca = "{file}"\n'
        )


def test_its_life_is_told_and_its_start_is_in_its_trail(role: Role) -> None:
    """Who asks the trail when it worked is answered."""
    role.start()
    assert role.stop() == 0
    life = [event["event"] for event in role.log if str(event["event"]).startswith("role_")]
    assert life == ["role_started", "role_stopping", "role_stopped"]
    trail = (role.inbox.audit / "receive.jsonl").read_text().splitlines()
    assert json.loads(trail[0])["what"] == "role_started"


def _takes_bytes(role: Role) -> bool:
    with suppress(FileNotFoundError):  # renamed while we look
        return any(path.is_file() and path.stat().st_size for path in role.inbox.spool.rglob("*"))
    return False


def test_asked_to_stop_it_answers_what_is_in_hand_and_goes(role: Role) -> None:
    """With a busy peer and five stuck ones it is gone within 30 s, and exits 0."""
    role.start()
    stuck = [socket.create_connection(("127.0.0.1", role.port)) for _ in range(5)]
    for sock in stuck[2:]:
        sock.sendall(pdus.associate_rq()[:40])
    sop_class, sop_instance, dataset = encoded(ct(rows=500))
    asked = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield dataset[:100_000]
        assert asked.wait(200)
        time.sleep(1)
        yield dataset[100_000:]

    statuses: list[int] = []

    def busy() -> None:
        with suppress(UpperLayerError), sending(role.port) as association:
            chunks = slowly()
            statuses.append(
                association.send_store(1, 1, sop_class, sop_instance, chunks, len(dataset))
            )

    thread = threading.Thread(target=busy)
    thread.start()
    assert wait_until(lambda: _takes_bytes(role), 100)  # what was sent is in hand only then
    began = time.monotonic()
    assert role.process
    role.process.send_signal(signal.SIGTERM)
    asked.set()
    assert role.process.wait(40) == 0
    assert time.monotonic() - began < 30
    thread.join()
    assert statuses == [0]
    assert len(list(role.inbox.arrived.iterdir())) == 1
    assert not list(role.inbox.spool.iterdir())
    assert role.log[-1]["event"] == "role_stopped"
    for sock in stuck:
        sock.close()


@pytest.mark.crash
@pytest.mark.parametrize(
    "kills", [8, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_killed_at_random_it_loses_nothing_that_it_answered(role: Role, kills: int) -> None:
    """SIGKILL again and again while three peers send; each answered instance is whole."""
    chance = random.Random(1)
    answered: dict[str, bytes] = {}
    stop = threading.Event()
    peers = [
        threading.Thread(target=_send_until, args=(role.port, n, answered, stop)) for n in range(3)
    ]
    role.start()
    for peer in peers:
        peer.start()
    for _ in range(kills):
        time.sleep(chance.uniform(0.05, 0.5))
        before = len(answered)
        role.stop(signal.SIGKILL)
        role.start()
        assert wait_until(lambda: len(answered) > before, 100)  # noqa: B023 -- asked at once
    stop.set()
    for peer in peers:
        peer.join()
    role.stop(signal.SIGKILL)
    role.start()
    assert role.stop() == 0
    assert not list(role.inbox.spool.iterdir())
    kept = {read_header(path).sop_instance_uid: path for path in role.inbox.arrived.iterdir()}
    assert not answered.keys() - kept.keys()
    for uid, dataset in answered.items():
        assert kept[uid].read_bytes().endswith(dataset)
    assert any(event["event"] == "spool_cleaned" for event in role.log)


def _send_until(port: int, peer: int, answered: dict[str, bytes], stop: threading.Event) -> None:
    number = 0
    while not stop.is_set():
        with suppress(UpperLayerError), sending(port) as association:
            while not stop.is_set():
                number += 1
                sop_class, uid, dataset = encoded(ct(peer * 1_000_000 + number, rows=200))
                if association.send_store(1, 1, sop_class, uid, [dataset], len(dataset)) == 0:
                    answered[uid] = dataset
        time.sleep(0.02)


def test_a_dead_spool_is_cleaned_and_a_live_one_is_not(role: Role) -> None:
    """Whatever lies there: files, folders, a symlink that points outside."""
    outside = role.folder / "outside"
    outside.mkdir()
    (outside / "keep").write_text("")
    role.inbox.create()
    dead = role.inbox.spool / "dead000000"
    dead.mkdir()
    (dead / "dead000000-000001.part").write_bytes(b"half")
    (role.inbox.spool / ".hidden0000").mkdir()
    (role.inbox.spool / "stray").write_bytes(b"")
    (role.inbox.spool / "link").symlink_to(outside)
    role.start()
    assert list(role.inbox.spool.iterdir()) == []
    assert (outside / "keep").exists()
    assert role.stop() == 0
