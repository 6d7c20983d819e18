"""The role looks at its disk and says aloud when that takes no instances."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from node import disk
from node.inbox.layout import Inbox
from node.receive.role import _watch
from node.receive.storage import Storage
from tests.receive.receiving import wait_until
from tests.receive.test_disk_faults import Fault


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Give the socket that the unit's states are told to."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        sock.settimeout(120)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield sock


@contextmanager
def watching(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Storage, list[EventDict]]]:
    """Watch a disk while the block runs; give it and the events so far."""
    monkeypatch.setattr("node.receive.role._TICK_SECONDS", 0.02)
    inbox = Inbox(folder / "inbox")
    inbox.create()
    storage = Storage(inbox, 0)
    stop = threading.Event()
    thread = threading.Thread(target=_watch, args=(storage, stop))
    with capture_logs() as said:
        thread.start()
        try:
            yield storage, said
        finally:
            stop.set()
            thread.join()


def _status(systemd: socket.socket) -> str:
    """Give the next state that says something of the disk."""
    while True:
        told = systemd.recv(1000).decode()
        if told.startswith("STATUS="):
            return told.removeprefix("STATUS=")


def test_a_disk_without_room_is_told_and_its_recovery_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, systemd: socket.socket
) -> None:
    """By an event and to systemd, once each."""
    roomy = True
    monkeypatch.setattr(Storage, "has_room", property(lambda _: roomy))
    with watching(tmp_path, monkeypatch) as (_, said):
        roomy = False
        assert _status(systemd) == "the disk takes no instances"
        roomy = True
        assert _status(systemd) == "receiving"
        assert [event["event"] for event in said] == ["disk_low", "disk_recovered"]


def test_a_disk_that_fails_is_told_and_taken_again_when_a_probe_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, systemd: socket.socket
) -> None:
    """However short the failure was; as long as the probe fails, nothing is taken."""
    fault = Fault(disk.fsync, 5, 1, times=3)
    monkeypatch.setattr(disk, "fsync", fault)
    with watching(tmp_path, monkeypatch) as (storage, said):
        storage.report_failure()
        assert _status(systemd) == "the disk takes no instances"
        assert _status(systemd) == "receiving"
        assert fault.calls > 3
        assert wait_until(storage.takes_instances)
        assert [event["event"] for event in said] == ["storage_failed", "disk_recovered"]
