"""Which waiting jobs share the next worker: a process costs more than a small study's job.

A run is bounded in instances and bytes, and those who share it have less time than one job alone
(jobs.SHARED_SECONDS): its files are few and small. It has one job of a study at most, and small
jobs only: a large study spreads over the workers, and no small one waits for it. What did not
survive a start is on its own from then on, so that nobody else pays for it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from node.process.chunks import LEAST_INSTANCES

#: Files of jobs that share a worker sum up to this; a larger job has one of its own.
RUN_BYTES = 64 * 1024 * 1024
#: A job of so many instances is worth a process of its own.
WORTH_A_PROCESS = 16

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Candidate(Generic[T]):
    """A job that waits: what it is to the caller, its size, and whether it was never started."""

    what: T
    instances: int
    bytes: int
    largest: int
    fresh: bool = True

    @property
    def shares(self) -> bool:
        """Whether it may share a worker."""
        return self.fresh and self.instances < WORTH_A_PROCESS


def next_run(
    waiting: Sequence[Candidate[T]], slots: int, free: int, most: int, room: float
) -> list[T]:
    """Choose what the next worker does: the first job, and those after it that fit in with it.

    `waiting` has one job of each study, in the order of their turn; `free` of `slots` workers are
    idle; `most` is how many instances may share one; `room` is how large a file may be beside
    those that are worked at now. Empty if the first has to wait for room.
    """
    if not waiting or waiting[0].largest > room:
        return []
    first, *others = waiting
    run, instances, size = [first.what], first.instances, first.bytes
    enough = _share(waiting, slots, free)
    for one in others if first.shares else ():
        if instances >= enough:
            break
        if (
            one.shares
            and instances + one.instances <= most
            and size + one.bytes <= RUN_BYTES
            and one.largest <= room
        ):
            run.append(one.what)
            instances, size = instances + one.instances, size + one.bytes
    return run


def _share(waiting: Sequence[Candidate[T]], slots: int, free: int) -> int:
    """Give how many instances are enough, so that something is left for the other workers."""
    there = sum(one.instances for one in waiting)
    return max(-(-there // slots), min(WORTH_A_PROCESS, -(-there // free)), LEAST_INSTANCES)
