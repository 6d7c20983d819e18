"""Receipts: the one thing that `forward` says back to `process`, a small file per delivery.

A receipt lies in `outbox/receipts/` once a destination has a release for good: every instance
stored, or committed where the destination is asked for commitment. Receipts carry no UID.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from node import disk


class ReceiptInvalid(Exception):  # noqa: N818 -- a fact about the file
    """A receipt file does not say what a receipt says."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """`destination` has all `instances` of `release`; `at` is UTC in ISO 8601."""

    release: str
    destination: str
    study: str
    generation: int
    instances: int
    committed: bool
    at: str


_SHAPE = TypeAdapter(Receipt)


def receipt_path(receipts: Path, release: str, destination: str) -> Path:
    """Give the place of a receipt."""
    return receipts / f"{release}--{destination}.json"


def write_receipt(receipts: Path, receipt: Receipt) -> None:
    """Write one receipt durably; one that is there already stays."""
    write_receipts(receipts, [receipt])


def write_receipts(receipts: Path, some: Sequence[Receipt]) -> None:
    """Write receipts durably; one that is there already stays."""
    for receipt in some:
        path = receipt_path(receipts, receipt.release, receipt.destination)
        content = json.dumps(asdict(receipt), indent=1).encode() + b"\n"
        with suppress(FileExistsError):
            disk.write_whole(path, content, mode=0o640)
    if some:
        disk.fsync_dir(receipts)


def read_receipt(receipts: Path, release: str, destination: str) -> Receipt | None:
    """Read the receipt of a release from a destination; None if there is none.

    Raises
    ------
    ReceiptInvalid
        If the file is no receipt, or another one's.
    """
    path = receipt_path(receipts, release, destination)
    try:
        receipt = _SHAPE.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise ReceiptInvalid(f"{path.name} is not a receipt") from None
    if (receipt.release, receipt.destination) != (release, destination):
        raise ReceiptInvalid(f"{path.name} is the receipt of another delivery")
    return receipt
