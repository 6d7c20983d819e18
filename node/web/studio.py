"""Where files of others are opened for a person to see: worker processes, never this one."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from node.pool import Limits, Pool

SLOTS = 2
TIMEOUT_SECONDS = 30.0
LIMITS = Limits(memory_bytes=2 * 1024**3, cpu_seconds=30)
PRELOAD = ("pydicom", "numpy", "node.web.picture", "node.deid")
TICK_SECONDS = 0.02


class CannotShow(Exception):  # noqa: N818 -- a fact about the file
    """The file cannot be shown: its worker died, took too long, or could not read it."""


class Studio:
    """A thread that runs jobs in a pool of its own; it starts with the first one."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[tuple[Callable[[Any], Any], Any, Future[Any]]] = (
            queue.SimpleQueue()
        )
        self._numbers = itertools.count()
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self, job: Callable[[Any], Any], message: Any) -> Future[Any]:
        """Run a job of a module in PRELOAD; the future raises CannotShow where it fails."""
        future: Future[Any] = Future()
        self._asked.put((job, message, future))
        with self._start:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
        return future

    def _run(self) -> None:
        pool = Pool(SLOTS, PRELOAD)
        waiting: dict[int, Future[Any]] = {}
        while True:
            while pool.free and (waiting == {} or not self._asked.empty()):
                job, message, future = self._asked.get()
                number = next(self._numbers)
                waiting[number] = future
                pool.start(number, job, message, TIMEOUT_SECONDS, LIMITS)
            for ended in pool.collect(TICK_SECONDS):
                future = waiting.pop(ended.token)
                if ended.death:
                    future.set_exception(CannotShow(ended.death))
                else:
                    future.set_result(ended.reply)
