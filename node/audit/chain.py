"""The audit trail: who did what when, as JSON lines that each name the hash of the one before.

One file per writer, so that no zone writes into the other: each role its own, and `people` for
what persons do by the command line and the web. Entries carry our own ids, never PHI. A changed,
removed or inserted line shows in `verify`; lines cut off the end do not, unless a copy is kept.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node import disk
from node.audit import volumes

#: What a chain's first entry names as the one before.
FIRST = "0" * 64
_TAIL = 1 << 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a trail: its number, its time (UTC, ISO 8601), who did what, and the facts."""

    number: int
    at: str
    who: str
    what: str
    facts: dict[str, Any]


def append(path: Path, who: str, what: str, at: str, **facts: Any) -> None:
    """Add an entry, durable on return. Raises OSError, and then nothing may be done unseen."""
    fd = _open_to_write(path)
    try:
        in_volume = _last_line(fd)
        last = in_volume or _last_put_aside(path)
        number = _number(last) + 1
        entry = {"n": number, "at": at, "who": who, "what": what, **facts, "previous": _hash(last)}
        line = json.dumps(entry, ensure_ascii=True, default=str).encode() + b"\n"
        torn = b"\n" if in_volume and not in_volume.endswith(b"\n") else b""
        os.write(fd, torn + line)
        disk.fsync(fd)
        if not in_volume:
            disk.fsync_dir(path.parent)
        if os.fstat(fd).st_size >= volumes.VOLUME_BYTES:
            with suppress(OSError):  # the entry stands; a volume may also grow
                volumes.put_aside(path, number)
    finally:
        os.close(fd)


def read(path: Path) -> Iterator[Entry]:
    """Give the entries of a trail, oldest first, of all its volumes."""
    for _volume, _place, line in _lines(path):
        facts = json.loads(line)
        del facts["previous"]
        yield Entry(facts.pop("n"), facts.pop("at"), facts.pop("who"), facts.pop("what"), facts)


def problems(path: Path) -> list[str]:
    """Tell every line that is not as it was written; none if the whole chain holds."""
    found = []
    expected, number = FIRST, 0
    for volume, place, line in _lines(path):
        number += 1
        try:
            entry = json.loads(line)
            sound = entry["previous"] == expected and entry["n"] == number
        except (ValueError, KeyError, TypeError):
            sound = False
        if not sound:
            found.append(f"{volume.name} line {place}: does not follow from the line before it")
            number = _number(line)
        expected = _hash(line)
    return found


def _open_to_write(path: Path) -> int:
    """Open and lock the volume that is written now, which another writer may just have filled."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        fd = os.open(path, flags, 0o660)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(follow_symlinks=False), os.fstat(fd)):
                    return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _last_put_aside(path: Path) -> bytes:
    """Give the last line of the newest volume that is full; none if this is the first."""
    aside = [one for one in volumes.volumes_of(path) if one != path]
    if not aside:
        return b""
    fd = os.open(aside[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return _last_line(fd)
    finally:
        os.close(fd)


def _lines(path: Path) -> Iterator[tuple[Path, int, bytes]]:
    """Give each line of a trail with its place; a trail of years does not fit in memory.

    The volume that is written is opened first, and is the last: it may be full by the time that
    its turn comes, and lie aside, before others.
    """
    with ExitStack() as opened:
        last = None
        with suppress(FileNotFoundError):
            last = opened.enter_context(path.open("rb"))
        for volume in volumes.volumes_of(path):
            if volume == path or (
                last and os.path.samestat(volume.stat(), os.fstat(last.fileno()))
            ):
                break
            with volume.open("rb") as lines:
                for place, line in enumerate(lines, 1):
                    yield volume, place, line
        for place, line in enumerate(last or (), 1):
            yield path, place, line


def _last_line(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    tail = os.pread(fd, _TAIL, max(0, size - _TAIL))
    return tail[tail.rfind(b"\n", 0, len(tail) - 1) + 1 :]


def _number(line: bytes) -> int:
    try:
        return int(json.loads(line)["n"])
    except (ValueError, KeyError, TypeError):
        return 0


def _hash(line: bytes) -> str:
    return hashlib.sha256(line.rstrip(b"\n")).hexdigest() if line else FIRST
