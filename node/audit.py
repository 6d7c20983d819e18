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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from structlog.types import EventDict

from node import disk

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
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o660)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        last = _last_line(fd)
        number = _number(last) + 1
        entry = {"n": number, "at": at, "who": who, "what": what, **facts, "previous": _hash(last)}
        line = json.dumps(entry, ensure_ascii=True, default=str).encode() + b"\n"
        torn = b"\n" if last and not last.endswith(b"\n") else b""
        os.write(fd, torn + line)
        disk.fsync(fd)
    finally:
        os.close(fd)
    if number == 1:
        disk.fsync_dir(path.parent)


def read(path: Path) -> Iterator[Entry]:
    """Give the entries of a trail, oldest first."""
    for line in path.read_bytes().splitlines():
        facts = json.loads(line)
        del facts["previous"]
        yield Entry(facts.pop("n"), facts.pop("at"), facts.pop("who"), facts.pop("what"), facts)


def problems(path: Path) -> list[str]:
    """Tell every line that is not as it was written; none if the whole chain holds."""
    found = []
    expected, number = FIRST, 0
    for place, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        number += 1
        try:
            entry = json.loads(line)
            sound = entry["previous"] == expected and entry["n"] == number
        except (ValueError, KeyError, TypeError):
            sound = False
        if not sound:
            found.append(f"{path.name} line {place}: does not follow from the line before it")
            number = _number(line)
        expected = _hash(line)
    return found


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


#: Events of the log that are entries of the trail as well.
AUDITED = frozenset(
    {
        "role_started", "role_stopped", "role_failed", "role_died", "key_created",
        "association_rejected", "association_ended", "association_aborted", "instance_refused",
        "study_released", "study_held", "study_rejected", "study_requeued",
        "instance_quarantined", "decision_applied", "decision_refused", "originals_purged",
        "release_purged", "storage_failed", "study_held_long", "conservation_broken",
        "release_refused", "study_delivered",
        "study_committed", "delivery_refused", "delivery_abandoned", "delivery_withdrawn",
        "destination_paused", "destination_resumed", "sign_in_refused",
    }
)  # fmt: skip


class Trail:
    """A processor of the log that writes what is in AUDITED to a role's trail.

    A trail that cannot be written is told in the log and does not stop the role: what a role does
    is in the rows and files too. What a person does is not done without its entry (see `append`).
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        """Write the event if it is one to audit, and pass it on."""
        if event["event"] in AUDITED:
            facts = {k: v for k, v in event.items() if k not in _NOT_FACTS}
            try:
                append(
                    self.path, event.get("role", ""), event["event"], event["timestamp"], **facts
                )
            except OSError as error:
                event["audit_failed"] = error.strerror
        return event


_NOT_FACTS = frozenset({"event", "role", "timestamp", "level", "who", "what", "at", "n", "stack"})
