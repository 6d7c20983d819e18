"""What is sent in one go to one destination, and what comes back: the words between both sides.

A destination type is one function of the shape `Send` (docs/destinations.md tells how to write
one). It runs in a child process of its own, answers per instance, and may be killed at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from node.config import Destination


@dataclass(frozen=True, slots=True)
class Item:
    """One instance to send: where its file lies and what the manifest says of it.

    `sent_before`: an earlier send of these same bytes to this destination was begun, so the
    destination may have them.
    """

    number: int
    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    bytes: int
    sha256: str
    sent_before: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Instances for one destination, in the order in which they are to be sent.

    `keep_open`: the same process may get the next batch in a moment; a destination type may keep
    its connection for that long (node.forward.senders.let_go).
    """

    destination: Destination
    items: tuple[Item, ...]
    timeout_seconds: float
    keep_open: bool = False


class Reaction(StrEnum):
    """What we do about an answer."""

    #: The destination has the instance.
    STORED = "stored"
    #: It may pass: the same bytes are sent again later.
    RETRY = "retry"
    #: It may pass, but not for ever: after three such answers a person looks at it.
    THREE_TRIES = "three tries"
    #: It will not pass: a person looks at it.
    REFUSE = "refuse"
    #: The destination wants nothing from us: a person resumes it.
    SUSPEND = "suspend"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of the item `number`; `text` is for people and holds no value of the data set.

    `unknown`: no answer came, so the destination may have the instance or not (then RETRY).
    """

    number: int
    reaction: Reaction
    text: str = ""
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """How a batch ended, for the destination as a whole.

    STORED: each item had its chance. RETRY: back off, then go on. SUSPEND: a person is needed.
    `is_ours`: the sender failed, and what it had in hand may be why.
    """

    reaction: Reaction = Reaction.STORED
    text: str = ""
    is_ours: bool = False


class Report(Protocol):
    """How a destination type tells its progress; safe to call from any of its threads."""

    def begun(self, item: Item) -> None:
        """Say that from now on the destination may have this item."""

    def sent(self, count: int) -> None:
        """Say that `count` more bytes were taken: a batch that says nothing for long is killed."""

    def answered(self, answer: Answer) -> None:
        """Say what became of an item."""


class Send(Protocol):
    """A destination type: send the items, report each, and stop between items when asked to."""

    def __call__(self, batch: Batch, report: Report, stopped: Callable[[], bool]) -> Ending:
        """Send a batch."""
