"""What `process` and its workers say to each other. Typed, frozen, and free of datasets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from node.deid import Deidentified
from node.pixels.variants import Wish
from node.profile.recipe import Recipe
from node.validate import Finding, Verdict

#: The generation of a job that works ahead: its study has not begun one yet.
AHEAD = 0


@dataclass(frozen=True, slots=True)
class FileReference:
    """An original to be treated, and where its de-identified file goes.

    `twin` is the original of the instance that came first under the same SOP Instance UID.
    """

    instance: str
    source: Path
    target: Path
    twin: Path | None = None


@dataclass(frozen=True, slots=True)
class Deidentify:
    """A job: one chunk of one study's generation."""

    job: int
    recipe: Recipe
    files: tuple[FileReference, ...]
    #: What each destination that is particular takes; it gets a variant of what it does not take.
    wishes: tuple[Wish, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """The same instance in another transfer syntax, in a file of its own, proven like the first."""

    syntax: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The target was written, validated, and is on disk for good.

    `source_digest` is that of the original's dataset, by which a copy is known when it is gone.
    The verdict's findings are those of the target and of its variants.
    """

    instance: str
    source_digest: str
    deidentified: Deidentified
    verdict: Verdict
    variants: tuple[Variant, ...] = ()


@dataclass(frozen=True, slots=True)
class Excluded:
    """The profile leaves this instance out; there is no target."""

    instance: str
    reason: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Duplicate:
    """De-identified it is its twin, in another transfer syntax at most; there is no target."""

    instance: str
    reason: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """The instance cannot be treated; there is no target."""

    instance: str
    reason: str


@dataclass(frozen=True, slots=True)
class Held:
    """The study needs a person before this instance can be treated; there is no target."""

    instance: str
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Something that nobody foresaw: the exception's type and where it was raised, no values.

    `passing` tells that the node's surroundings failed (a full disk), not the instance.
    """

    instance: str
    exception: str
    stack: tuple[str, ...]
    passing: bool


Outcome = Ready | Excluded | Duplicate | Quarantined | Held | Failed


@dataclass(frozen=True, slots=True)
class Done:
    """A job's reply: one outcome per file, in the order of the files."""

    job: int
    outcomes: tuple[Outcome, ...]
