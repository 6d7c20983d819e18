"""Releases that were not seen before become rows: one delivery per destination they name.

A manifest that cannot be trusted names nobody; such a release is noted with its problem and never
sent. What a lost ledger knew is taken back from the receipts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.config import Destination
from node.forward.choosing import choose, missing_file, not_wanted
from node.forward.manifests import Manifests
from node.outbox import deliveries, ledger
from node.outbox.layout import Outbox
from node.outbox.manifest import Manifest, ManifestInvalid, ReleasedInstance
from node.outbox.receipts import ReceiptInvalid, read_receipt
from node.outbox.states import DeliveryState

NOT_CONFIGURED = "the configuration has no such destination: add it and retry, or abandon"
_WERE_SENT = frozenset({DeliveryState.DELIVERED, DeliveryState.COMMITTED})
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
    manifests: Manifests,
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
        manifest = manifests.read(folder, key)
    except ManifestInvalid as error:
        ledger.add_unreadable_release(connection, name, now, str(error))
        log.error("release_refused", release=name, reason=str(error))  # noqa: TRY400 -- the reason is all
        return
    ledger.add_release(connection, manifest, now)
    for to in manifest.destinations:
        opening = _open(connection, outbox, manifest, to, destinations.get(to))
        ledger.add_delivery(
            connection, name, to, opening.entries, now, state=opening.state, answer=opening.answer,
            intents=int(ledger_was_lost or opening.state in _WERE_SENT),
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
    problem = problem or not_wanted(entries, destination.syntaxes)
    if problem:
        return Opening(DeliveryState.REFUSED, problem, entries)
    return Opening(DeliveryState.PENDING, "", entries)
