"""At most `slots` processes, each for one job, forked from a server that has the modules loaded.

Nothing waits in here: what waits for a slot is a row in the index. A process that is killed, hangs
or exhausts its memory ends its own job and no other (pebble, process per job).
"""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, concurrent

from node import observe
from node.pool.containment import Limits, keep_within, leave_no_core

MAX_SLOTS = 8
_OWN_CGROUP, _CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


class PoolBroken(Exception):  # noqa: N818 -- a fact about the moment
    """A job's process could not be started. Trying again later may help."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended: with a reply, or by a death that is told in words."""

    token: int
    reply: Any = None
    death: str = ""
    error: BaseException | None = None


def default_slots() -> int:
    """Give the number of cores that we may use (affinity and cgroup), at most eight."""
    cores = len(os.sched_getaffinity(0))
    quota = cgroup_cores()
    if quota is not None:
        cores = min(cores, max(1, int(quota + 0.5)))
    return min(cores, MAX_SLOTS)


class Pool:
    """Runs jobs in processes of their own. Used from the main thread of its role only."""

    def __init__(self, slots: int, preload: Sequence[str] = ()) -> None:
        self.slots = slots
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["node.pool.preload_first", *preload])
        self._running: dict[int, Future[Any]] = {}
        self._ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        # Started here, from the main thread: the server dies with the thread that started it.
        forkserver.ensure_running()

    @property
    def free(self) -> int:
        """How many more jobs may start now."""
        return self.slots - len(self._running)

    @property
    def active(self) -> int:
        """How many jobs are running, or ended without having been collected."""
        return len(self._running)

    def start(
        self,
        token: int,
        job: Callable[[Any], Any],
        message: Any,
        timeout_seconds: float,
        limits: Limits,
    ) -> None:
        """Start a job under a number of the caller's; PoolBroken if no process can be made."""
        # pebble 5.2 reads `context`; what its annotations call `mp_context` would fork silently.
        in_process = concurrent.process(
            name=_name(token),
            timeout=timeout_seconds,
            context=self._context,  # type: ignore[call-overload]
        )
        run = in_process(_run_contained)
        try:
            future = run(job, message, limits)
        except (OSError, EOFError) as error:
            raise PoolBroken("a worker process cannot be started") from error
        self._running[token] = future
        future.add_done_callback(lambda _future: self._ended.put(token))

    def collect(self, wait_seconds: float) -> list[Ended]:
        """Give the jobs that ended, waiting for the first of them at most so long."""
        ended: list[Ended] = []
        try:
            token = self._ended.get(timeout=wait_seconds)
            while True:
                ended.append(_how(token, self._running.pop(token)))
                token = self._ended.get_nowait()
        except queue.Empty:
            return ended

    def kill(self, *tokens: int) -> None:
        """Kill running jobs; each is collected as one that died, unless it ended before."""
        names = {_name(token) for token in tokens}
        for process in multiprocessing.active_children():
            if process.name in names:
                process.kill()

    def stop(self) -> None:
        """Kill all running jobs; what they did is forgotten."""
        while self._running:
            self.kill(*self._running)
            self.collect(wait_seconds=1.0)


def _name(token: int) -> str:
    return f"deid-worker {token}"


def _run_contained(job: Callable[[Any], Any], message: Any, limits: Limits) -> Any:
    """Run in the job's process: limit it, then do the job."""
    observe.name_process("worker")
    leave_no_core()  # after the name: /proc/self is not ours any more
    keep_within(limits)
    return job(message)


def _how(token: int, future: Future[Any]) -> Ended:
    try:
        return Ended(token, reply=future.result(timeout=0))
    except TimeoutError:
        return Ended(token, death="took longer than it may")
    except ProcessExpired as error:
        return Ended(token, death=f"its process died (exit code {error.exitcode})")
    except BaseException as error:  # noqa: BLE001 -- whatever the job raised is its end, not ours
        return Ended(token, death=f"raised {type(error).__qualname__}", error=error)


def cgroup_cores(own: Path = _OWN_CGROUP, root: Path = _CGROUPS) -> float | None:
    """Give the cores that cgroup v2 grants this process, or None where it sets no limit.

    The tightest limit counts, that of the process's own group or of one above it.
    """
    limits: list[float] = []
    try:
        name = own.read_text().strip().rsplit("::", 1)[1]
        folder = root / name.lstrip("/")
        for place in (folder, *folder.parents):
            if (place / "cpu.max").is_file():
                quota, period = (place / "cpu.max").read_text().split()
                if quota != "max":
                    limits.append(int(quota) / int(period))
    except (OSError, IndexError, ValueError):
        pass
    return min(limits, default=None)
