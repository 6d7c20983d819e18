"""A disk that fails: every step refuses an instance by name, and nothing of it is left."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from node import disk
from node.receive.storage import Storage
from node.upper_layer import AssociationRejected, Rejection, Status
from tests.receive.faults import Fault
from tests.receive.receiving import Receiving, ct, receiving, send, sending, wait_until

pytestmark = pytest.mark.crash

STEPS = ["create_exclusive", "write", "write_back", "fsync", "rename_noreplace", "fsync_dir"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("at", [1, 2])
def test_a_step_that_fails_is_answered_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int, at: int
) -> None:
    """A700, on an association that goes on; then the disk takes instances again."""
    # A file that could not be prepared for the next instance is asked for again when it comes.
    times = at if step == "create_exclusive" else 1
    fault = Fault(getattr(disk, step), code, at, times)
    monkeypatch.setattr(disk, step, fault)
    with receiving(tmp_path) as node:
        with sending(node.port) as association:
            statuses = [send(association, ct(n, rows=300), n) for n in (1, 2, 3)]
        assert fault.calls >= at
        assert sorted(statuses) == [Status.SUCCESS, Status.SUCCESS, Status.OUT_OF_RESOURCES]
        assert len(node.arrived) == 2
        assert wait_until(lambda: not node.spooled)
        assert node.receiver.storage.failed
        _is_turned_away(node)
        assert node.receiver.storage.probe()
        with sending(node.port) as association:
            assert send(association, ct(4)) == Status.SUCCESS


def _is_turned_away(node: Receiving) -> None:
    with pytest.raises(AssociationRejected) as told, sending(node.port):
        pass
    wanted = Rejection.TEMPORARY_CONGESTION.value
    assert (told.value.result, told.value.source, told.value.reason) == wanted


def test_a_file_that_could_not_be_prepared_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed between two instances is no reason to refuse the second."""
    monkeypatch.setattr(disk, "create_exclusive", Fault(disk.create_exclusive, errno.ENOSPC, 2))
    with receiving(tmp_path) as node, sending(node.port) as association:
        assert [send(association, ct(n), n) for n in (1, 2)] == [Status.SUCCESS] * 2
        assert len(node.arrived) == 2


def test_an_fsync_that_failed_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the kernel dropped stays dropped, and a second fsync would call it safe."""
    fault = Fault(disk.fsync, errno.EIO, 1)
    monkeypatch.setattr(disk, "fsync", fault)
    with receiving(tmp_path) as node, sending(node.port) as association:
        assert send(association, ct()) == Status.OUT_OF_RESOURCES
        assert fault.calls == 1
        assert not node.arrived


def test_a_disk_that_is_nearly_full_refuses_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A700 for those within, a transient reject for those without, until there is room."""
    roomy = True
    monkeypatch.setattr(Storage, "has_room", property(lambda _: roomy))
    with receiving(tmp_path) as node, sending(node.port) as association:
        assert send(association, ct(1)) == Status.SUCCESS
        roomy = False
        assert send(association, ct(2), 2) == Status.OUT_OF_RESOURCES
        _is_turned_away(node)
        roomy = True
        assert send(association, ct(3), 3) == Status.SUCCESS
        with sending(node.port) as other:
            assert send(other, ct(4)) == Status.SUCCESS
        assert len(node.arrived) == 3


def test_room_is_looked_at_again_within_a_large_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One instance alone does not fill the disk."""
    monkeypatch.setattr("node.receive.store._LOOK_AGAIN_BYTES", 100_000)
    looks = iter([True, False])
    monkeypatch.setattr(Storage, "has_room", property(lambda _: next(looks, True)))
    with receiving(tmp_path) as node, sending(node.port) as association:
        assert send(association, ct(rows=500)) == Status.OUT_OF_RESOURCES
        assert not node.arrived


def test_the_reserve_is_measured_on_the_disk(tmp_path: Path) -> None:
    """The free bytes of the inbox's filesystem against min_free_bytes."""
    facts = os.statvfs(tmp_path)
    free = facts.f_bavail * facts.f_frsize
    with receiving(tmp_path, min_free_bytes=free * 2) as node:
        assert not node.receiver.storage.has_room
        _is_turned_away(node)
    with receiving(tmp_path, min_free_bytes=free // 2) as node:
        assert node.receiver.storage.has_room


def test_a_disk_that_cannot_be_asked_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A700 rather than an association that breaks."""
    with receiving(tmp_path) as node, sending(node.port) as association:
        monkeypatch.setattr(os, "statvfs", Fault(os.statvfs, errno.EIO, 1))
        assert send(association, ct()) == Status.OUT_OF_RESOURCES
        assert send(association, ct(), 2) == Status.SUCCESS
