"""What a tree of processes has used: CPU seconds, and the most memory held at once."""

from __future__ import annotations

import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil

_EVERY_SECONDS = 0.1


def tree(pid: int) -> list[psutil.Process]:
    """List a process and all below it, as they are now."""
    with suppress(psutil.NoSuchProcess):
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    return []


def cpu_seconds(pid: int) -> float:
    """Give user and system seconds so far of a tree, of children that ended too."""
    seconds = 0.0
    for process in tree(pid):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def megabytes(pid: int) -> float:
    """Give the memory that a tree holds now: pages that are shared count once (PSS)."""
    held = 0
    for process in tree(pid):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            held += process.memory_full_info().pss
    return held / 1e6


class PeakMemory:
    """Look at a tree's memory ten times a second while the block runs; `.megabytes` is the most."""

    def __init__(self, pid: int) -> None:
        """Name the tree by its first process."""
        self.megabytes = 0.0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.wait(_EVERY_SECONDS):
            self.megabytes = max(self.megabytes, megabytes(self._pid))

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()
