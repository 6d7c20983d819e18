"""What follows for a delivery and its destination when instances were answered or a batch ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
import structlog

from node.config import Destination, DicomDestination, Forward
from node.forward.backoff import next_delay
from node.forward.batch import Ending, Reaction
from node.forward.turn import Turn, refuse, suspect, take_back
from node.outbox import deliveries, instances, ledger
from node.outbox.deliveries import Delivery
from node.outbox.destinations import destination_row
from node.outbox.receipts import Receipt, write_receipts
from node.outbox.states import DeliveryState, InstanceState

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a turn ended for those of its deliveries that are not done.

    `gate` is when the destination may be tried again; None if the turn was stopped in order.
    """

    gate: float | None
    text: str = ""


def settle_answered(connection: sa.Connection, turn: Turn, now: float) -> list[Delivery]:
    """Settle deliveries whose last instance was answered; give those that are now delivered."""
    done = {number for number, open_items in turn.unanswered.items() if not open_items}
    delivered = []
    for number in sorted(done - turn.settled):
        after = _settle_done(connection, deliveries.delivery_by_id(connection, number), now)
        if after is not DeliveryState.SENDING:
            turn.settled.add(number)
        if after is DeliveryState.DELIVERED:
            delivered.append(deliveries.delivery_by_id(connection, number))
    return delivered


def settle_complete(connection: sa.Connection, delivery: Delivery, now: float) -> Delivery:
    """Settle a delivery of which nothing is left to send, and give it as it is now."""
    ledger.move(connection, delivery.id, delivery.state, DeliveryState.SENDING, now)
    sending = deliveries.delivery_by_id(connection, delivery.id)
    _settle_done(connection, sending, now)
    return deliveries.delivery_by_id(connection, delivery.id)


def settle_end(
    connection: sa.Connection,
    turn: Turn,
    ending: Ending,
    timing: Forward,
    now: float,
    *,
    in_order: bool,
) -> None:
    """Settle a turn that is over: its destination, and what is not done.

    `in_order`: the sender said so itself, and what it did not begin never left.
    """
    if ending.is_ours or not in_order:
        suspect(turn)
    if in_order:
        take_back(connection, turn)
    verdict = _settle_destination(connection, turn, ending, timing, now)
    _settle_rest(connection, turn, verdict, timing, now)


def _settle_rest(
    connection: sa.Connection, turn: Turn, verdict: Verdict, timing: Forward, now: float
) -> None:
    """Put what the turn left undone where it waits for its next time."""
    for number in sorted(turn.unanswered.keys() - turn.settled):
        delivery = deliveries.delivery_by_id(connection, number)
        if delivery.state is not DeliveryState.SENDING:
            continue
        troubled = number in turn.troubled
        if verdict.gate is None and not troubled:
            ledger.move(connection, number, delivery.state, DeliveryState.PENDING, now)
            continue
        attempts, gate = delivery.attempts, verdict.gate or now
        if troubled:
            # Where each try brings something across, the next one need not wait for ever longer.
            attempts = 1 if number in turn.progressed else attempts + 1
            delay = next_delay(attempts, timing.retry_first_seconds, timing.retry_max_seconds)
            gate = max(gate, now + delay)
        answer = _summary(connection, delivery, InstanceState.PENDING) or verdict.text
        ledger.move(
            connection, number, delivery.state, DeliveryState.DEFERRED, now, answer=answer,
            attempts=attempts, next_attempt_at=gate,
        )  # fmt: skip
        log.warning(
            "delivery_deferred", study=delivery.study, generation=delivery.generation,
            destination=delivery.destination, seconds=round(gate - now, 1), reason=answer,
        )  # fmt: skip


def _settle_destination(
    connection: sa.Connection, turn: Turn, ending: Ending, timing: Forward, now: float
) -> Verdict:
    """Write what a turn says of its destination; progress in the turn ends an earlier back-off."""
    name = turn.batch.destination.name
    said = {"last_answer": ending.text, "last_answer_at": now}
    match ending.reaction:
        case Reaction.RETRY | Reaction.THREE_TRIES:
            known = destination_row(connection, name)
            failures = 1 if turn.stored else known.failures + 1
            delay = next_delay(failures, timing.retry_first_seconds, timing.retry_max_seconds)
            ledger.set_destination(
                connection, name, failures=failures, next_attempt_at=now + delay, **said
            )
            return Verdict(now + delay, ending.text)
        case Reaction.SUSPEND | Reaction.REFUSE:
            ledger.set_destination(connection, name, paused=True, **said)
            log.error("destination_paused", destination=name, reason=ending.text)
            return Verdict(None, ending.text)
        case Reaction.STORED:
            said["last_answer"] = f"took {turn.stored} instances" if turn.stored else "answered"
            ledger.set_destination(connection, name, failures=0, next_attempt_at=None, **said)
            return Verdict(None)


def is_for_good(delivery: Delivery, destination: Destination | None) -> bool:
    """Tell whether a delivery is where its destination's configuration wants it to end."""
    wants_commitment = isinstance(destination, DicomDestination) and destination.commitment
    if delivery.state is DeliveryState.DELIVERED:
        return not wants_commitment
    return delivery.state is DeliveryState.COMMITTED


def give_receipts(receipts: Path, some: Sequence[Delivery], now: float) -> None:
    """Tell `process` which releases a destination has for good."""
    at = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    write_receipts(
        receipts,
        [
            Receipt(
                delivery.release, delivery.destination, delivery.study, delivery.generation,
                delivery.total, delivery.state is DeliveryState.COMMITTED, at,
            )
            for delivery in some
        ],
    )  # fmt: skip


def _settle_done(connection: sa.Connection, delivery: Delivery, now: float) -> DeliveryState:
    """Settle a delivery if each of its instances is stored or refused; give its state by then."""
    if delivery.stored == delivery.total:
        ledger.move(
            connection, delivery.id, delivery.state, DeliveryState.DELIVERED, now,
            answer=_summary(connection, delivery, InstanceState.STORED), next_attempt_at=None,
            attempts=0,
        )  # fmt: skip
        log.info(
            "study_delivered", study=delivery.study, generation=delivery.generation,
            destination=delivery.destination, instances=delivery.total,
        )  # fmt: skip
        return DeliveryState.DELIVERED
    if delivery.stored + delivery.refused == delivery.total:
        refuse(connection, delivery, now, _summary(connection, delivery, InstanceState.REFUSED))
        return DeliveryState.REFUSED
    return delivery.state


def _summary(connection: sa.Connection, delivery: Delivery, state: InstanceState) -> str:
    return instances.summary(connection, delivery.id, state, delivery.total)
