"""How a generation's instances are cut into jobs, and how a deadly one among them is found.

An instance's `attempts` were counted before each start. A chunk that its worker did not survive is
tried again as it is until `max_attempts`; then it is halved at each further attempt, until the
instance that kills is alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

#: A chunk ends when it has this many bytes; a larger instance is a chunk of its own.
CHUNK_BYTES = 128 * 1024 * 1024
#: Smaller jobs cost more than they spread.
LEAST_INSTANCES = 4


@dataclass(frozen=True, slots=True)
class Waiting:
    """An instance without an outcome."""

    instance: str
    bytes: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """The instances of one job, all of which were started as often."""

    instances: tuple[str, ...]
    bytes: int
    largest: int
    attempts: int


def cut(
    waiting: Sequence[Waiting], chunk_instances: int, max_attempts: int, slots: int
) -> list[Chunk]:
    """Cut waiting instances into chunks, so that a study spreads over `slots` workers."""
    pieces = max(1, min(slots, len(waiting) // LEAST_INSTANCES))
    spread = max(1, -(-len(waiting) // pieces))
    ordered = sorted(waiting, key=lambda one: (one.attempts, one.instance))
    chunks: list[Chunk] = []
    for attempts, group in groupby(ordered, key=lambda one: one.attempts):
        size = chunk_size(attempts, min(chunk_instances, spread), max_attempts)
        chunks += _cut_group(list(group), size)
    return chunks


def chunk_size(attempts: int, chunk_instances: int, max_attempts: int) -> int:
    """Give how many instances that were started so often share a chunk."""
    return max(1, chunk_instances >> max(0, attempts - max_attempts + 1))


def _cut_group(group: list[Waiting], size: int) -> Iterator[Chunk]:
    part: list[Waiting] = []
    total = 0
    for one in group:
        if part and (len(part) == size or total + one.bytes > CHUNK_BYTES):
            yield _chunk(part)
            part, total = [], 0
        part.append(one)
        total += one.bytes
    if part:
        yield _chunk(part)


def _chunk(part: Sequence[Waiting]) -> Chunk:
    sizes = [one.bytes for one in part]
    names = tuple(one.instance for one in part)
    return Chunk(names, sum(sizes), max(sizes), part[0].attempts)
