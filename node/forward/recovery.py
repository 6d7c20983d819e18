"""What a start finds: deliveries cut off in the middle, receipts not written, a ledger lost."""

from __future__ import annotations

import sqlalchemy as sa
import structlog

from node.config import Destination
from node.forward.discovery import NOT_CONFIGURED
from node.forward.settling import give_receipts, is_for_good
from node.forward.turn import refuse
from node.outbox import deliveries, ledger
from node.outbox.layout import Outbox
from node.outbox.receipts import receipt_path
from node.outbox.states import DeliveryState

log = structlog.get_logger()


def recover(
    engine: sa.Engine, outbox: Outbox, destinations: dict[str, Destination], now: float
) -> None:
    """Bring the ledger to where the loop goes on; safe to be killed in and to be run again."""
    with engine.begin() as connection:
        cut_off = deliveries.in_state(connection, DeliveryState.SENDING)
        for delivery in cut_off:
            # Its intended instances stay INTENDED: sent again, same bytes, same UID.
            ledger.move(
                connection, delivery.id, delivery.state, DeliveryState.PENDING, now,
                answer="cut off; what had no answer is sent again",
            )  # fmt: skip
        ledger.forget_unreadable_releases(connection)
        for state in (DeliveryState.PENDING, DeliveryState.DEFERRED):
            for delivery in deliveries.in_state(connection, state):
                if delivery.destination not in destinations:
                    refuse(connection, delivery, now, NOT_CONFIGURED)
        done = [
            delivery
            for state in (DeliveryState.DELIVERED, DeliveryState.COMMITTED)
            for delivery in deliveries.in_state(connection, state)
        ]
    without = [
        delivery
        for delivery in done
        if is_for_good(delivery, destinations.get(delivery.destination))
        and not receipt_path(outbox.receipts, delivery.release, delivery.destination).exists()
    ]
    give_receipts(outbox.receipts, without, now)
    if cut_off:
        log.info("recovered", deliveries=len(cut_off))
