"""People's decisions about deliveries, taken up one file at a time, in the order they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
import structlog

from node.config import Destination
from node.forward.choosing import choose_again, missing_file, not_wanted
from node.outbox import deliveries, instances, ledger
from node.outbox.decisions import DecisionKind, DeliveryDecision
from node.outbox.deliveries import Delivery
from node.outbox.layout import Outbox
from node.outbox.manifest import Manifest, ManifestInvalid, read_manifest
from node.outbox.receipts import receipt_path
from node.outbox.signing import ensure_signing_key, load_public_key
from node.outbox.states import DeliveryState, InstanceState
from node.outbox.withdrawals import GoneOut, Withdrawal, write_withdrawal

log = structlog.get_logger()

S = DeliveryState
_RETRIED = frozenset({S.PENDING, S.DEFERRED, S.REFUSED})
_ABANDONED = frozenset({S.PENDING, S.DEFERRED, S.REFUSED})
_REDELIVERED = frozenset({S.DELIVERED, S.COMMITTED, S.ABANDONED})


class Refused(Exception):  # noqa: N818 -- an answer to a person
    """A decision that cannot be carried out; its text tells the person why."""


@dataclass(frozen=True, slots=True)
class Deciding:
    """What carrying out a decision needs."""

    connection: sa.Connection
    outbox: Outbox
    destinations: Mapping[str, Destination]
    now: float


def under_way(connection: sa.Connection, decision: DeliveryDecision) -> frozenset[str]:
    """Give the destinations that must first stop sending what the decision is about."""
    if decision.kind is DecisionKind.PAUSE:
        return frozenset({decision.destination})
    if decision.kind not in (DecisionKind.WITHDRAW, DecisionKind.ABANDON):
        return frozenset()
    return frozenset(
        delivery.destination
        for delivery in _concerned(connection, decision)
        if delivery.state is S.SENDING
    )


def carry_out(deciding: Deciding, decision: DeliveryDecision, name: str) -> None:
    """Carry out a decision; `name` is its file's. Raises Refused."""
    match decision.kind:
        case DecisionKind.PAUSE:
            _known(deciding, decision)
            ledger.set_destination(deciding.connection, decision.destination, paused=True)
            log.info("destination_paused", destination=decision.destination, who=decision.who)
        case DecisionKind.RESUME:
            _known(deciding, decision)
            ledger.set_destination(deciding.connection, decision.destination, paused=False)
            ledger.open_gates(deciding.connection, decision.destination)
            log.info("destination_resumed", destination=decision.destination, who=decision.who)
        case DecisionKind.RETRY:
            _retry(deciding, decision)
        case DecisionKind.ABANDON:
            for delivery in _those(deciding, decision, _ABANDONED, "open"):
                _move(deciding, delivery, S.ABANDONED, f"abandoned by {decision.who}")
                log.info("delivery_abandoned", **_facts(delivery), who=decision.who)
        case DecisionKind.REDELIVER:
            _redeliver(deciding, decision)
        case DecisionKind.WITHDRAW:
            _withdraw(deciding, decision, name)


def _retry(deciding: Deciding, decision: DeliveryDecision) -> None:
    for delivery in _those(deciding, decision, _RETRIED, "waiting or refused"):
        destination, manifest = _check_can_be_sent(deciding, delivery)
        # The destination may take other syntaxes by now than when the release was first seen.
        entries = choose_again(deciding.connection, delivery.id, manifest, destination.syntaxes)
        problem = not_wanted(entries, destination.syntaxes)
        if problem:
            raise Refused(problem)
        instances.reset(
            deciding.connection, delivery.id, [InstanceState.REFUSED, InstanceState.PENDING],
            failures=True,
        )  # fmt: skip
        if delivery.state is not S.PENDING:
            _move(deciding, delivery, S.PENDING, f"retried by {decision.who}")
        ledger.set_destination(deciding.connection, delivery.destination, next_attempt_at=None)


def _redeliver(deciding: Deciding, decision: DeliveryDecision) -> None:
    if deliveries.is_withdrawn(deciding.connection, decision.study):
        raise Refused("the study was withdrawn: nothing more of it is sent")
    those = _those(deciding, decision, _REDELIVERED, "delivered or abandoned")
    for delivery in those:
        _check_can_be_sent(deciding, delivery)
    for delivery in those:
        # While it is sent again it is not there for good, and `process` must keep the files.
        # Should a crash come before the row is written, recovery writes the receipt again.
        path = receipt_path(deciding.outbox.receipts, delivery.release, delivery.destination)
        path.unlink(missing_ok=True)
        instances.reset(deciding.connection, delivery.id, list(InstanceState), failures=True)
        _move(deciding, delivery, S.PENDING, f"redelivered by {decision.who}")


def _check_can_be_sent(deciding: Deciding, delivery: Delivery) -> tuple[Destination, Manifest]:
    """Raise Refused unless a delivery has a destination, and its release all its files."""
    destination = deciding.destinations.get(delivery.destination)
    if destination is None:
        raise Refused(f"the configuration has no destination {delivery.destination}")
    folder = deciding.outbox.releases / delivery.release
    try:
        manifest = read_manifest(folder, load_public_key(deciding.outbox.public_key))
    except ManifestInvalid as error:
        raise Refused(str(error)) from None
    problem = missing_file(folder, manifest.instances)
    if problem:
        raise Refused(f"{problem}: it may have been purged")
    return destination, manifest


def _withdraw(deciding: Deciding, decision: DeliveryDecision, name: str) -> None:
    concerned = _concerned(deciding.connection, decision)
    if not concerned and not _is_study(deciding, decision.study):
        raise Refused("no release of this study is known")
    outbox = deciding.outbox
    key = ensure_signing_key(outbox.forward_key, outbox.forward_public_key)
    gone_out = tuple(_gone_out(deciding, delivery) for delivery in concerned)
    write_withdrawal(
        outbox.withdrawals,
        Withdrawal(decision.study, decision.who, decision.when, decision.why, gone_out),
        key,
        name,
    )
    ledger.add_withdrawal(deciding.connection, decision.study, deciding.now)
    for delivery in concerned:
        if delivery.state is not S.WITHDRAWN:
            _move(deciding, delivery, S.WITHDRAWN, f"withdrawn by {decision.who}")
            log.info("delivery_withdrawn", **_facts(delivery), who=decision.who)


def _gone_out(deciding: Deciding, delivery: Delivery) -> GoneOut:
    """Name the new UIDs that a destination has or may have; by file where no manifest is left."""
    outbox = deciding.outbox
    try:
        manifest = read_manifest(
            outbox.releases / delivery.release, load_public_key(outbox.public_key)
        )
        uids = {entry.file: entry.sop_instance_uid for entry in manifest.instances}
    except ManifestInvalid:
        uids = {}
    rows = instances.instances_of(deciding.connection, delivery.id)
    has = frozenset({InstanceState.STORED, InstanceState.COMMITTED})
    return GoneOut(
        delivery.release,
        delivery.destination,
        tuple(uids.get(row.file, row.file) for row in rows if row.state in has),
        tuple(uids.get(row.file, row.file) for row in rows if row.intents and row.state not in has),
    )


def _concerned(connection: sa.Connection, decision: DeliveryDecision) -> list[Delivery]:
    return [
        delivery
        for delivery in deliveries.deliveries(connection, decision.study)
        if decision.destination in ("", delivery.destination)
    ]


def _those(
    deciding: Deciding, decision: DeliveryDecision, states: frozenset[DeliveryState], words: str
) -> list[Delivery]:
    concerned = _concerned(deciding.connection, decision)
    those = [delivery for delivery in concerned if delivery.state in states]
    if not those:
        where = f" to {decision.destination}" if decision.destination else ""
        raise Refused(f"no delivery of this study{where} is {words}")
    return those


def _move(deciding: Deciding, delivery: Delivery, after: DeliveryState, answer: str) -> None:
    ledger.move(
        deciding.connection, delivery.id, delivery.state, after, deciding.now, answer=answer,
        attempts=0, next_attempt_at=None,
    )  # fmt: skip


def _known(deciding: Deciding, decision: DeliveryDecision) -> None:
    if decision.destination not in deciding.destinations:
        known = ", ".join(sorted(deciding.destinations))
        raise Refused(f"no destination is named {decision.destination} (known: {known})")


def _is_study(deciding: Deciding, study: str) -> bool:
    return any(
        path.name.rpartition("-g")[0] == study for path in Path(deciding.outbox.releases).iterdir()
    )


def _facts(delivery: Delivery) -> dict[str, str | int]:
    return {
        "study": delivery.study,
        "generation": delivery.generation,
        "destination": delivery.destination,
    }
