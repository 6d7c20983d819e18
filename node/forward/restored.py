"""A ledger that is older than what lies around it: lost and made anew, or restored from a copy.

What has a receipt is settled by it. Of the rest nobody knows whether it was sent since, so it
counts as perhaps sent: the same bytes may go again under their UID, and no other version.
"""

from __future__ import annotations

import sqlalchemy as sa
import structlog

from node.forward.discovery import new_releases
from node.outbox import deliveries, instances, ledger
from node.outbox.deliveries import Delivery
from node.outbox.instances import InstanceOutcome
from node.outbox.layout import Outbox
from node.outbox.receipts import Receipt, ReceiptInvalid, read_receipt
from node.outbox.states import DeliveryState, InstanceState

S = DeliveryState
log = structlog.get_logger()


def catch_up(connection: sa.Connection, outbox: Outbox, now: float) -> bool:
    """Settle open deliveries by their receipts; tell whether the ledger is older than the outbox.

    A person's redelivery takes the receipt away before the delivery is open again, so an open
    delivery with a receipt was delivered after this ledger was copied.
    """
    settled = [
        delivery
        for state in (S.PENDING, S.DEFERRED, S.REFUSED)
        for delivery in deliveries.in_state(connection, state)
        if _settle(connection, outbox, delivery, now)
    ]
    receipted = {path.name.partition("--")[0] for path in outbox.receipts.iterdir()}
    unseen = new_releases(outbox, deliveries.release_names(connection))
    return bool(settled) or any(name in receipted for name in unseen)


def doubt(connection: sa.Connection) -> None:
    """Let everything that is open count as perhaps sent before."""
    instances.doubt(connection, [S.PENDING, S.DEFERRED, S.REFUSED])
    log.warning("ledger_behind")


def _settle(connection: sa.Connection, outbox: Outbox, delivery: Delivery, now: float) -> bool:
    try:
        receipt = read_receipt(outbox.receipts, delivery.release, delivery.destination)
    except ReceiptInvalid:
        return False
    if receipt is None:
        return False
    rows = instances.instances_of(connection, delivery.id)
    instances.intend(connection, delivery.id, [row.file for row in rows])
    state = InstanceState.COMMITTED if receipt.committed else InstanceState.STORED
    instances.record(connection, [InstanceOutcome(delivery.id, row.file, state) for row in rows])
    before = delivery.state
    for after in _way(before, receipt):
        ledger.move(
            connection, delivery.id, before, after, now, answer="known from its receipt",
            attempts=0, next_attempt_at=None,
        )  # fmt: skip
        before = after
    return True


def _way(state: DeliveryState, receipt: Receipt) -> list[DeliveryState]:
    """Give the lawful moves from an open state to where a receipt says that it ended."""
    first = [S.PENDING] if state is S.REFUSED else []
    last = [S.COMMITTED] if receipt.committed else []
    return [*first, S.SENDING, S.DELIVERED, *last]
