"""Whether the disk under the inbox can take instances: enough room, and no failure outstanding."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from node import disk
from node.inbox.layout import Inbox


class Storage:
    """What is known of the disk now. Asked by every thread, probed by the role's loop."""

    def __init__(self, inbox: Inbox, min_free_bytes: int) -> None:
        self._root = inbox.root
        self._probe = inbox.spool / ".probe"
        self._min_free = min_free_bytes
        self._failed = threading.Event()

    @property
    def has_room(self) -> bool:
        """Tell whether more than the reserve is free; one system call. Who cannot tell has none."""
        try:
            facts = os.statvfs(self._root)
        except OSError:
            return False
        return facts.f_bavail * facts.f_frsize >= self._min_free

    @property
    def failed(self) -> bool:
        """Tell whether a disk step failed and no probe has succeeded since."""
        return self._failed.is_set()

    def takes_instances(self) -> bool:
        """Tell whether a new association may come."""
        return not self.failed and self.has_room

    def report_failure(self) -> None:
        """Remember that a disk step failed (EIO, ENOSPC, an fsync)."""
        self._failed.set()

    def probe(self) -> bool:
        """Try the durable steps on a small file; a success ends a failure."""
        try:
            _write_and_remove(self._probe)
        except OSError:
            self._failed.set()
        else:
            self._failed.clear()
        return not self.failed


def _write_and_remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    fd = disk.create_exclusive(path)
    try:
        disk.write(fd, b"probe")
        disk.fsync(fd)
    finally:
        os.close(fd)
        path.unlink(missing_ok=True)
    disk.fsync_dir(path.parent)
