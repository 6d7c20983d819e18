"""What the web role asks of its workers, and what they answer: plain facts, no file opened here.

The code that opens files of others (node.web.picture) is loaded in a worker only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Draw:
    """Draw one frame (from 0); a window of None is the image's own."""

    path: Path
    frame: int = 0
    window: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """The picture as PNG, how many frames there are, and the window (centre, width) it shows."""

    png: bytes
    frames: int
    window: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Compare:
    """Tell what de-identifying a file as a route says would change."""

    path: Path
    profile: str
    beside: Path | None
    default_issuer: str
    assume_charset: str


@dataclass(frozen=True, slots=True)
class Compared:
    """The changes, or why there are none. Pseudonyms are those of a throwaway key.

    Each change has the keys of node.deid.Change.
    """

    changes: tuple[dict[str, str | None], ...] = ()
    problem: str = ""


def draw(message: Draw) -> Drawn:
    """Draw one frame of an image."""
    from node.web import picture  # noqa: PLC0415 -- see above

    return picture.draw(message)


def compare(message: Compare) -> Compared:
    """Tell what would change."""
    from node.web import picture  # noqa: PLC0415 -- see above

    return picture.compare(message)
