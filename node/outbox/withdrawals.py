"""What had gone out of a study when a person took it back: a signed list for those who have it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node import disk
from node.outbox.signed import seal


@dataclass(frozen=True, slots=True)
class GoneOut:
    """What a destination has of a release, and what it may have because its answer was lost."""

    release: str
    destination: str
    has: tuple[str, ...]
    may_have: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A study taken back: by whom, when (UTC, ISO 8601), why, and what had gone out (new UIDs)."""

    study: str
    who: str
    when: str
    why: str
    gone_out: tuple[GoneOut, ...]


def write_withdrawal(
    withdrawals: Path, withdrawal: Withdrawal, key: Ed25519PrivateKey, name: str
) -> Path:
    """Write the list durably, signed by `forward`; one that is there already stays."""
    path = withdrawals / f"{withdrawal.study}--{name}"
    try:
        disk.write_durably(path, seal("withdrawal", asdict(withdrawal), key), mode=0o640)
    except FileExistsError:
        disk.fsync_dir(withdrawals)
    return path
