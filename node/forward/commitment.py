"""Storage commitment (PS3.4 Annex J): what we ask a destination, and what it may answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from node.config import DicomDestination

#: Failure Reason (0008,1197), PS3.3 C.14.1.1.
FAILURE_REASONS = {
    0x0110: "processing failure",
    0x0112: "no such object instance",
    0x0119: "class/instance conflict",
    0x0122: "referenced SOP class not supported",
    0x0131: "duplicate transaction UID",
    0x0213: "resource limitation",
}


@dataclass(frozen=True, slots=True)
class Transaction:
    """One request for commitment: the instances (SOP class, SOP instance) of one delivery."""

    uid: str
    delivery: int
    references: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What one child process asks one destination."""

    destination: DicomDestination
    transactions: tuple[Transaction, ...]
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Declined:
    """The destination does not do storage commitment, or not for this request."""

    transaction_uid: str
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """What an N-EVENT-REPORT says: SOP Instance UIDs committed, and failed with their reason."""

    transaction_uid: str
    committed: frozenset[str] = frozenset()
    failed: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Heard:
    """A result that waits for the main loop; `taken` is set once it is in the ledger, or is not."""

    result: Result
    #: The destinations that answer to the AE title which reported it.
    destinations: frozenset[str]
    is_ours: bool = False
    taken: threading.Event = field(default_factory=threading.Event)


def describe_failure(reason: int) -> str:
    """Say a Failure Reason in words."""
    return f"not committed: {reason:04X}H {FAILURE_REASONS.get(reason, 'reason unknown')}"
