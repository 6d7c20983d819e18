"""The role looks at its disk and says aloud when that takes no instances."""

from __future__ import annotations

import queue
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
from tests.receive.faults import Fault
from tests.receive.receiving import wait_until


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[queue.Queue[str]]:
    """Give what is told to the unit's socket; it is read at once, or who tells would wait."""
    address = str(tmp_path / "notify")
    told: queue.Queue[str] = queue.Queue()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address)

        def read() -> None:
            while (state := sock.recv(1000).decode()) != "the end":
                told.put(state)

        thread = threading.Thread(target=read)
        thread.start()
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield told
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"the end", address)
        thread.join()


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


def _status(systemd: queue.Queue[str]) -> str:
    """Give the next state that says something of the disk."""
    while True:
        told = systemd.get(timeout=120)
        if told.startswith("STATUS="):
            return told.removeprefix("STATUS=")


def test_a_disk_without_room_is_told_and_its_recovery_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, systemd: queue.Queue[str]
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, systemd: queue.Queue[str]
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
