"""A power cut in memory: what of a trace of disk steps is on the disk after it.

Two disks. `strict` promises what POSIX does and no more: bytes are there after fsync of the file,
a name after fsync of its folder, and of the rest any part may be there, in any order. `ext4_like`
keeps a journal: names come and go in order, and any fsync writes all of the journal before it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """One step that was taken: what, on which file (a number), and where."""

    what: str  # write | fsync | name | unname | fsync_dir | answer
    file: int = 0
    bytes: int = 0
    folder: Path = Path()
    name: str = ""


@dataclass(frozen=True)
class Disk:
    """What is found after the cut: bytes per file, and names per folder."""

    bytes: dict[int, int]
    names: dict[Path, dict[str, int]]


Model = Callable[[Sequence[Step], random.Random], Disk]


def strict(trace: Sequence[Step], chance: random.Random) -> Disk:
    """Only what was synced is sure, and the rest is chance."""
    sure: list[Step] = []
    unsure: list[Step] = []
    for step in trace:
        if step.what in ("name", "unname"):
            unsure.append(step)
        elif step.what == "fsync_dir":
            sure += [entry for entry in unsure if entry.folder == step.folder]
            unsure = [entry for entry in unsure if entry.folder != step.folder]
    kept = [entry for entry in unsure if chance.random() < 0.5]
    return Disk(_bytes(trace, chance), _names([*sure, *kept]))


def ext4_like(trace: Sequence[Step], chance: random.Random) -> Disk:
    """Names are kept in order, up to the last fsync of anything at least."""
    entries: list[Step] = []
    sure = 0
    for step in trace:
        if step.what in ("name", "unname"):
            entries.append(step)
        elif step.what in ("fsync", "fsync_dir"):
            sure = len(entries)
    return Disk(_bytes(trace, chance), _names(entries[: chance.randint(sure, len(entries))]))


def _bytes(trace: Sequence[Step], chance: random.Random) -> dict[int, int]:
    written: dict[int, int] = {}
    synced: dict[int, int] = {}
    for step in trace:
        if step.what == "write":
            written[step.file] = written.get(step.file, 0) + step.bytes
        elif step.what == "fsync":
            synced[step.file] = written.get(step.file, 0)
    return {
        file: chance.choice((synced.get(file, 0), total, chance.randint(0, total)))
        if synced.get(file, 0) < total
        else total
        for file, total in written.items()
    }


def _names(entries: Sequence[Step]) -> dict[Path, dict[str, int]]:
    names: dict[Path, dict[str, int]] = {}
    for entry in entries:
        folder = names.setdefault(entry.folder, {})
        if entry.what == "name":
            folder[entry.name] = entry.file
        else:
            folder.pop(entry.name, None)
    return names


def lost(trace: Sequence[Step], arrived: Path, model: Model, cuts: int) -> int:
    """Cut the power so many times, spread over the trace; count answered files that are not whole.

    What recovery does is part of it: only what has its name in `arrived` is found again.
    """
    whole: dict[int, int] = {}
    for step in trace:
        if step.what == "write":
            whole[step.file] = whole.get(step.file, 0) + step.bytes
    missing = 0
    for cut in range(cuts):
        before = trace[: 1 + cut * len(trace) // cuts]
        disk = model(before, random.Random(cut))
        found = set(disk.names.get(arrived, {}).values())
        answered = {step.file for step in before if step.what == "answer"}
        missing += sum(
            1 for file in answered if file not in found or disk.bytes[file] < whole[file]
        )
    return missing
