"""Commitment in the ledger: what is asked for, what a result settles, and what is sent again."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.config import DicomDestination, Forward
from node.forward.backoff import horizon, next_delay
from node.forward.commitment import Declined, Question, Result, Transaction, describe_failure
from node.forward.turn import TRIES, refuse
from node.outbox import deliveries, instances, ledger
from node.outbox.deliveries import Delivery
from node.outbox.instances import InstanceOutcome
from node.outbox.layout import Outbox
from node.outbox.manifest import Manifest, ManifestInvalid, read_manifest
from node.outbox.states import DeliveryState, InstanceState

#: A result is waited for so many first delays (10 minutes by default), then twice as long …
WAITS = 20
ASKED_AT_ONCE = 20
log = structlog.get_logger()


def take_question(
    connection: sa.Connection,
    outbox: Outbox,
    key: Ed25519PublicKey,
    destination: DicomDestination,
    timing: Forward,
    now: float,
) -> Question | None:
    """Write down under which Transaction UIDs is asked next; None if nothing is to be asked.

    Each time under a new one (PS3.4 J.3.2.1): a result for an earlier one still counts.
    """
    transactions = []
    waiting = deliveries.in_state(connection, DeliveryState.DELIVERED, destination.name)
    for delivery in waiting:
        gate = delivery.next_attempt_at
        if gate is not None and now < gate <= now + WAITS * horizon(timing.retry_max_seconds):
            continue
        try:
            manifest = read_manifest(outbox.releases / delivery.release, key)
        except ManifestInvalid as error:
            refuse(connection, delivery, now, str(error))
            continue
        stored = _files_in(connection, delivery, InstanceState.STORED)
        references = tuple(
            (entry.sop_class_uid, entry.sop_instance_uid)
            for entry in manifest.instances
            if entry.file in stored
        )
        uid = f"2.25.{uuid.uuid4().int}"
        ledger.add_transaction(connection, uid, delivery.id, now)
        attempts = delivery.attempts + 1
        wait = next_delay(
            attempts, WAITS * timing.retry_first_seconds, WAITS * timing.retry_max_seconds
        )
        ledger.set_next_attempt(connection, delivery.id, now + wait, attempts)
        transactions.append(Transaction(uid, delivery.id, references))
        if len(transactions) >= ASKED_AT_ONCE:
            break
    if not transactions:
        return None
    return Question(destination, tuple(transactions), timing.timeout_seconds)


def settle_result(
    connection: sa.Connection,
    outbox: Outbox,
    key: Ed25519PublicKey,
    result: Result,
    timing: Forward,
    now: float,
    destinations: frozenset[str] | None = None,
) -> Delivery | None:
    """Write a result; give its delivery, as it is now.

    None for a transaction that nobody asked of one of `destinations`.
    """
    delivery = deliveries.delivery_by_transaction(connection, result.transaction_uid)
    if delivery is None or (destinations is not None and delivery.destination not in destinations):
        return None
    try:
        manifest = read_manifest(outbox.releases / delivery.release, key)
    except ManifestInvalid:
        return None
    instances.record(connection, _outcomes(connection, delivery, manifest, result))
    after = deliveries.delivery_by_id(connection, delivery.id)
    if after.state is DeliveryState.DELIVERED:
        _settle_delivery(connection, after, timing, now)
    return deliveries.delivery_by_id(connection, delivery.id)


def decline(connection: sa.Connection, declined: Declined, now: float) -> None:
    """Stop a delivery whose destination will not commit, until a person has looked at it."""
    delivery = deliveries.delivery_by_transaction(connection, declined.transaction_uid)
    if delivery is not None and delivery.state is DeliveryState.DELIVERED:
        reason = (
            f"storage commitment: {declined.text}; turn it on there, or set commitment = false "
            "for this destination, and retry"
        )
        refuse(connection, delivery, now, reason)


def _settle_delivery(
    connection: sa.Connection, delivery: Delivery, timing: Forward, now: float
) -> None:
    facts = {
        "study": delivery.study,
        "generation": delivery.generation,
        "destination": delivery.destination,
    }
    if delivery.committed == delivery.total:
        ledger.move(
            connection, delivery.id, delivery.state, DeliveryState.COMMITTED, now,
            next_attempt_at=None, attempts=0,
        )  # fmt: skip
        log.info("study_committed", **facts, instances=delivery.total)
    elif delivery.refused:
        said = instances.summary(connection, delivery.id, InstanceState.REFUSED, delivery.total)
        refuse(connection, delivery, now, said)
    elif delivery.stored < delivery.total:
        # What the destination lost is sent again.
        answer = instances.summary(connection, delivery.id, InstanceState.PENDING, delivery.total)
        delay = next_delay(1, timing.retry_first_seconds, timing.retry_max_seconds)
        ledger.move(
            connection, delivery.id, delivery.state, DeliveryState.DEFERRED, now, answer=answer,
            next_attempt_at=now + delay, attempts=1,
        )  # fmt: skip
        log.warning("delivery_deferred", **facts, seconds=round(delay, 1), reason=answer)


def _outcomes(
    connection: sa.Connection, delivery: Delivery, manifest: Manifest, result: Result
) -> list[InstanceOutcome]:
    uids = {entry.file: entry.sop_instance_uid for entry in manifest.instances}
    outcomes = []
    for row in instances.instances_of(connection, delivery.id):
        uid = uids.get(row.file, "")
        if row.state is not InstanceState.STORED:
            continue
        if uid in result.failed:
            state = InstanceState.REFUSED if row.failures + 1 >= TRIES else InstanceState.PENDING
            answer = describe_failure(result.failed[uid])
            outcomes.append(InstanceOutcome(delivery.id, row.file, state, answer, failed=True))
        elif uid in result.committed:
            outcomes.append(
                InstanceOutcome(delivery.id, row.file, InstanceState.COMMITTED, row.answer)
            )
    return outcomes


def _files_in(
    connection: sa.Connection, delivery: Delivery, state: InstanceState
) -> frozenset[str]:
    return frozenset(
        row.file for row in instances.instances_of(connection, delivery.id) if row.state is state
    )
