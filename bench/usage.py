"""What a tree of processes has used: CPU seconds, and the most memory held at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

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


@dataclass
class Peak:
    """The most memory that was seen so far."""

    megabytes: float = 0.0


@contextmanager
def peak_memory(pid: int) -> Iterator[Peak]:
    """Look at a tree's memory ten times a second while the block runs."""
    peak, over = Peak(), threading.Event()

    def look() -> None:
        while not over.wait(_EVERY_SECONDS):
            peak.megabytes = max(peak.megabytes, megabytes(pid))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()
