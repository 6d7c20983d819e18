"""The durable steps do what every promise stands on."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Never

import pytest

from node import disk


def test_a_rename_never_replaces_a_file(tmp_path: Path) -> None:
    """What is under a name stays under it."""
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        disk.rename_noreplace(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"old"
    assert (tmp_path / "new").read_bytes() == b"new"


def test_a_rename_never_replaces_an_empty_folder(tmp_path: Path) -> None:
    """The kernel's plain rename would."""
    (tmp_path / "staged").mkdir()
    (tmp_path / "released").mkdir()
    with pytest.raises(FileExistsError):
        disk.rename_noreplace(tmp_path / "staged", tmp_path / "released")


def test_a_rename_without_the_flag_still_never_replaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some filesystems do not know RENAME_NOREPLACE."""

    class Old:
        @staticmethod
        def renameat2(*_arguments: object) -> int:
            return -1

    monkeypatch.setattr(disk, "_libc", Old)
    monkeypatch.setattr("ctypes.get_errno", lambda: errno.EINVAL)
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        disk.rename_noreplace(tmp_path / "new", tmp_path / "old")
    disk.rename_noreplace(tmp_path / "new", tmp_path / "newer")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["newer", "old"]


def test_a_created_file_follows_no_symlink(tmp_path: Path) -> None:
    """A link planted under the name we will use leads nowhere."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        disk.create_exclusive(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


def test_a_small_file_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails at its fsync leaves no name and no leftover."""

    def fails(_fd: int) -> Never:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        disk.write_durably(tmp_path / "decision.json", b"{}")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_held_once_and_freed_with_its_descriptor(tmp_path: Path) -> None:
    """A second process of one role is told so; a dead one leaves nothing behind."""
    held = disk.lock_file(tmp_path / "role.lock")
    with pytest.raises(disk.AlreadyLocked):
        disk.lock_file(tmp_path / "role.lock")
    assert disk.is_locked(tmp_path / "role.lock")
    os.close(held)
    assert not disk.is_locked(tmp_path / "role.lock")
    assert not disk.is_locked(tmp_path / "absent.lock")


@pytest.mark.parametrize("most", [1, 3, 4, 7, 100])
def test_a_write_that_takes_less_than_it_was_given_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Nothing is left out and nothing comes twice, wherever the kernel stopped."""
    real = os.write
    monkeypatch.setattr(
        os, "writev", lambda fd, pieces: real(fd, b"".join(map(bytes, pieces))[:most])
    )
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, memoryview(data)[:2]))
    fd = disk.create_exclusive(tmp_path / "file")
    disk.write(fd, b"one", b"", memoryview(b"twofold"), b"x")
    os.close(fd)
    assert (tmp_path / "file").read_bytes() == b"onetwofoldx"
