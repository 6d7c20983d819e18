"""Releases that were not seen before become rows: one delivery per destination they name.

A manifest that cannot be trusted names nobody; such a release is noted with its problem and never
sent. What a lost ledger knew is taken back from the receipts.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.config import Destination
from node.outbox import deliveries, ledger
from node.outbox.layout import Outbox
from node.outbox.manifest import Manifest, ManifestInvalid, ReleasedInstance, read_manifest
from node.outbox.receipts import ReceiptInvalid, read_receipt
from node.outbox.states import DeliveryState

NOT_CONFIGURED = "the configuration has no such destination: add it and retry, or abandon"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Opening:
    """How a new delivery starts: its state, why, and the files that are to be sent."""

    state: DeliveryState
    answer: str
    entries: tuple[ReleasedInstance, ...]


def new_releases(outbox: Outbox, known: Collection[str]) -> list[str]:
    """List release folders that are not in the ledger."""
    return sorted(
        entry.name
        for entry in outbox.releases.iterdir()
        if entry.name not in known and not entry.name.startswith(".")
    )


def add_release(
    connection: sa.Connection,
    outbox: Outbox,
    name: str,
    key: Ed25519PublicKey,
    destinations: Mapping[str, Destination],
    now: float,
    *,
    ledger_was_lost: bool = False,
) -> None:
    """Make the rows of one release."""
    folder = outbox.releases / name
    try:
        manifest = read_manifest(folder, key)
    except ManifestInvalid as error:
        ledger.add_unreadable_release(connection, name, now, str(error))
        log.warning("release_refused", release=name, reason=str(error))
        return
    ledger.add_release(connection, manifest, now)
    for to in manifest.destinations:
        opening = _open(connection, outbox, manifest, to, destinations.get(to))
        ledger.add_delivery(
            connection, name, to, opening.entries, now, state=opening.state, answer=opening.answer,
            intents=int(ledger_was_lost),
        )  # fmt: skip
        if opening.state is DeliveryState.REFUSED:
            log.error(
                "delivery_refused", study=manifest.study, generation=manifest.generation,
                destination=to, reason=opening.answer,
            )  # fmt: skip
    log.info(
        "release_seen", study=manifest.study, generation=manifest.generation,
        instances=manifest.totals["instances"], destinations=len(manifest.destinations),
    )  # fmt: skip


def choose(manifest: Manifest, wanted: Sequence[str]) -> tuple[ReleasedInstance, ...]:
    """Choose one file per instance: in a syntax that the destination wants, else the first made.

    `wanted` is the destination's `syntaxes`, in its order of preference.
    """
    variants: dict[str, list[ReleasedInstance]] = {}
    for entry in manifest.instances:
        variants.setdefault(entry.sop_instance_uid, []).append(entry)
    return tuple(_choose_one(entries, wanted) for entries in variants.values())


def missing_file(folder: Path, entries: Sequence[ReleasedInstance]) -> str:
    """Say what is wrong with the first file that is not there as the manifest says, else ""."""
    for number, entry in enumerate(entries):
        try:
            found = (folder / entry.file).lstat()
        except OSError:
            return f"a released file is missing (number {number + 1} of the manifest)"
        if not stat.S_ISREG(found.st_mode) or found.st_size != entry.bytes:
            return f"a released file is not what the manifest says (number {number + 1})"
    return ""


def _open(
    connection: sa.Connection,
    outbox: Outbox,
    manifest: Manifest,
    to: str,
    destination: Destination | None,
) -> Opening:
    entries = choose(manifest, destination.syntaxes if destination else ())
    if deliveries.is_withdrawn(connection, manifest.study):
        return Opening(DeliveryState.WITHDRAWN, "the study was withdrawn", entries)
    try:
        receipt = read_receipt(outbox.receipts, manifest.release, to)
    except ReceiptInvalid as error:
        return Opening(DeliveryState.REFUSED, str(error), entries)
    if receipt is not None:
        done = DeliveryState.COMMITTED if receipt.committed else DeliveryState.DELIVERED
        return Opening(done, "known from its receipt", entries)
    if destination is None:
        return Opening(DeliveryState.REFUSED, NOT_CONFIGURED, entries)
    problem = missing_file(outbox.releases / manifest.release, entries)
    problem = problem or _not_wanted(entries, destination.syntaxes)
    if problem:
        return Opening(DeliveryState.REFUSED, problem, entries)
    return Opening(DeliveryState.PENDING, "", entries)


def _choose_one(entries: Sequence[ReleasedInstance], wanted: Sequence[str]) -> ReleasedInstance:
    for syntax in wanted:
        for entry in entries:
            if entry.transfer_syntax_uid == syntax:
                return entry
    return min(entries, key=lambda entry: bool(entry.variant))


def _not_wanted(entries: Sequence[ReleasedInstance], wanted: Sequence[str]) -> str:
    """Say what the destination's `syntaxes` leave no file for, else ""."""
    others = sorted({entry.transfer_syntax_uid for entry in entries} - set(wanted))
    if not wanted or not others:
        return ""
    return (
        f"the release holds nothing in the destination's syntaxes, only {', '.join(others)}: it "
        "was made before they were asked for; add that syntax and retry, or requeue the study with "
        "--all-generations"
    )
