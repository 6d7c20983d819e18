"""A file in `arrived/`: its name tells how it came, its header what it is."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from node.inbox.header import Header

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32


def random_id(letters: int) -> str:
    """Make an id of ours that nobody has used before."""
    return "".join(secrets.choice(_LETTERS) for _ in range(letters))


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file in `arrived/` and what its header says; no header where it says nothing."""

    instance: str
    path: Path
    bytes: int
    arrived_at: float
    header: Header | None

    @property
    def association(self) -> str:
        """The association that it came by."""
        return self.instance.rpartition("-")[0]

    @property
    def number(self) -> int:
        """Its number in its association."""
        digits = self.instance.rpartition("-")[2]
        return int(digits) if digits.isdecimal() else 0
