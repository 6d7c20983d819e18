"""The folder of partial files that an association owns as long as it is open.

The owner holds the folder's flock, so a folder whose lock is free is dead, whatever ended it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from node import disk
from node.inbox.layout import Inbox

#: Crockford's base 32, lower case: no i, l, o, u.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_LENGTH = 10
_FILE_MODE = 0o640
#: The disk is given this much at a time while more comes.
_WRITE_BACK_BYTES = 4 * 1024 * 1024


def new_association_id() -> str:
    """Give a random id: 10 characters of Crockford's base 32."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))


class Spool:
    """One association's way into the inbox. Its folder is made with its first instance."""

    def __init__(self, inbox: Inbox, association_id: str) -> None:
        self._inbox = inbox
        self._id = association_id
        self._folder = inbox.spool / association_id
        self._arrived = str(inbox.arrived)
        self._lock = -1
        self._count = 0
        self._prepared: Partial | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._prepared:
            self._prepared.discard()
        if self._lock >= 0:
            _remove(self._folder)
            os.close(self._lock)
            self._lock = -1

    def begin(self) -> Partial:
        """Open the next instance's partial file; OSError where the disk refuses."""
        prepared, self._prepared = self._prepared, None
        return prepared or self._next()

    def prepare(self) -> None:
        """Open the next instance's file while its peer is still about to send it.

        Where the disk refuses, `begin` will ask it again.
        """
        if self._prepared is None:
            with contextlib.suppress(OSError):
                self._prepared = self._next()

    def _next(self) -> Partial:
        if self._lock < 0:
            self._lock = _make_locked_folder(self._inbox.spool, self._id)
        self._count += 1
        instance_id = f"{self._id}-{self._count:06d}"
        return Partial(f"{self._folder}/{instance_id}.part", self._arrived, f"{instance_id}.dcm")


class Partial:
    """A file that is being received; gone at the end of the context unless it was kept."""

    def __init__(self, path: str, arrived: str, name: str) -> None:
        self._arrived = arrived
        self._final = f"{arrived}/{name}"
        self.fd = disk.create_exclusive(path, _FILE_MODE)
        self._at = path
        self._written = 0
        self._written_back = 0
        self._durable = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._durable:
            os.close(self.fd)
        else:
            self.discard()

    def write(self, pieces: Sequence[memoryview]) -> None:
        """Write all of them, and let the disk begin with it while the peer sends the rest."""
        disk.write(self.fd, *pieces)
        self._written += sum(map(len, pieces))
        if self._written - self._written_back >= _WRITE_BACK_BYTES:
            self.write_back()

    def write_back(self) -> None:
        """Let the disk begin with what was written."""
        disk.write_back(self.fd, self._written_back, self._written - self._written_back)
        self._written_back = self._written

    def keep(self) -> None:
        """Make the file and its name in `arrived` survive a power cut; then it may be answered.

        On OSError nothing is retried: what an fsync dropped stays dropped, the file is discarded.
        """
        disk.fsync(self.fd)
        disk.rename_noreplace(self._at, self._final)
        self._at = self._final
        disk.fsync_dir(self._arrived)
        self._durable = True

    def discard(self) -> None:
        """Close and remove it; what the disk refuses is left for the next start."""
        os.close(self.fd)
        with contextlib.suppress(OSError):
            Path(self._at).unlink()


def clean_dead_folders(inbox: Inbox) -> int:
    """Remove what associations left that are no more; give the number of folders."""
    cleaned = 0
    for entry in os.scandir(inbox.spool):
        path = Path(entry.path)
        if not entry.is_dir(follow_symlinks=False):
            path.unlink(missing_ok=True)
        elif not disk.is_locked(path):
            _remove(path)
            cleaned += 1
    return cleaned


def _make_locked_folder(parent: Path, name: str) -> int:
    """Make a folder that appears under its name only once we hold its lock."""
    hidden, folder = parent / f".{name}", parent / name
    hidden.mkdir(mode=0o770)
    lock = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        disk.rename_noreplace(hidden, folder)
    except BaseException:
        os.close(lock)
        _remove(hidden)
        raise
    return lock


def _remove(folder: Path) -> None:
    """Remove a folder and its files; what the disk refuses is left for the next start."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            with contextlib.suppress(OSError):
                Path(entry.path).unlink()
        folder.rmdir()
