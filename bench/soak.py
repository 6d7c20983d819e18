"""Sixty-four associations for ten minutes: nothing lost, answers in time, memory flat.

    python -m bench.soak [--minutes M]      (make soak)

Two processes send CT files of 528 KB on 64 associations as fast as they are answered, every sync
on. What has arrived is removed as `process` would, but without keeping it: ten minutes are more
than most disks hold. Each answer is held against a file that was there. Exits 1 where a target is
missed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Self

import psutil

from bench import receivers
from bench.deid_data import write_set
from bench.receive import sender_folder, told
from bench.receive_many import ASSOCIATIONS, latencies

_SAMPLE_SECONDS = 5.0
_REMOVE_SECONDS = 0.25
#: One alone falls behind where the disk is told of every freed block, and the disk fills up.
_REMOVERS = 4
_SETTLE_SECONDS = 30
_REST_SECONDS = 2


class Watch:
    """Samples the receiver and removes what arrived, in threads of its own, until it is left."""

    def __init__(self, pid: int, arrived: Path) -> None:
        self.process = psutil.Process(pid)
        self.megabytes: list[float] = []
        self._removed = [0] * _REMOVERS
        self._arrived = arrived
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._sample)]
        self._threads += [
            threading.Thread(target=self._remove, args=(number,)) for number in range(_REMOVERS)
        ]

    @property
    def removed(self) -> int:
        """How many files were removed so far."""
        return sum(self._removed)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            self.megabytes.append(self.process.memory_info().rss / 2**20)

    def _remove(self, mine: int) -> None:
        while not self._stop.wait(_REMOVE_SECONDS):
            for entry in os.scandir(self._arrived):
                if entry.inode() % _REMOVERS == mine:
                    with suppress(FileNotFoundError):
                        Path(entry.path).unlink()
                        self._removed[mine] += 1

    def settled(self, threads: int, descriptors: int) -> tuple[int, int]:
        """Wait for threads and descriptors to be given back; say how many there are then."""
        for _ in range(_SETTLE_SECONDS * 10):
            if self.process.num_threads() <= threads and self.process.num_fds() <= descriptors:
                break
            threading.Event().wait(0.1)
        return self.process.num_threads(), self.process.num_fds()


def main() -> int:
    """Run it and say which targets are reached."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--data", type=Path, default=sender_folder())
    options = arguments.parse_args()
    paths = write_set("ct", options.data, 32)
    seconds = 60 * options.minutes
    with tempfile.TemporaryDirectory() as folder, receivers.receive_alone(Path(folder)) as receiver:
        arrived = Path(folder, "data", "inbox", "arrived")
        first_answers = latencies(receiver.port, paths, 2)  # what is built once is built
        time.sleep(_REST_SECONDS)
        process = psutil.Process(receiver.pid)
        before = process.num_threads(), process.num_fds()
        with Watch(receiver.pid, arrived) as watch:
            answers = latencies(receiver.port, paths, seconds)
            after = watch.settled(*before)
        kept = watch.removed + len(list(arrived.iterdir()))
        half = len(watch.megabytes) // 2
        first, last = median(watch.megabytes[:half]), median(watch.megabytes[half:])
        print(
            f"{ASSOCIATIONS} associations, {options.minutes:g} minutes: {len(answers)} files, "
            f"{len(answers) / seconds:.0f}/s, median {median(answers):.3f} s, "
            f"longest {answers[-1]:.3f} s; memory {first:.0f} MB, then {last:.0f} MB; threads "
            f"{before[0]}, then {after[0]}; descriptors {before[1]}, then {after[1]}"
        )
        return not all(
            (
                told("p99 answer, seconds", answers[int(len(answers) * 0.99)], 1, at_most=True),
                told("memory of the second half over the first", last / first, 1.05, at_most=True),
                told("peak memory, MB", receiver.peak_megabytes(), 150, at_most=True),
                told("threads that are left over", after[0] - before[0], 0, at_most=True),
                told("descriptors that are left over", after[1] - before[1], 0, at_most=True),
                told(
                    "instances answered and not there",
                    len(first_answers) + len(answers) - kept,
                    0,
                    at_most=True,
                ),
            )
        )


if __name__ == "__main__":
    raise SystemExit(main())
