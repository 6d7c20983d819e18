"""A destination's turn: what goes in it, what became of it, and what follows for the ledger.

Intents are committed before the child starts, answers in the parcels they come in; what a crash
leaves between the two is INTENDED, and the same bytes are sent again under the same UID.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.config import Destination
from node.forward.batch import Answer, Batch, Item, Reaction
from node.forward.manifests import Manifests
from node.outbox import instances, ledger
from node.outbox.deliveries import Delivery
from node.outbox.instances import InstanceOutcome
from node.outbox.layout import Outbox
from node.outbox.manifest import ManifestInvalid, ReleasedInstance
from node.outbox.states import DeliveryState, InstanceState

BATCH_INSTANCES = 1000
TRIES = 3
_OPEN = frozenset({InstanceState.PENDING, InstanceState.INTENDED})
log = structlog.get_logger()

#: The last line of defence of "never in two versions"; `process` holds such studies before.
_TWO_VERSIONS = (
    "this destination has, or may have, another version of one of these instances, and none is "
    "ever sent in two versions: abandon this delivery"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item of the batch stands in the ledger."""

    delivery: int
    file: str
    failures: int


@dataclass(slots=True)
class Turn:
    """Deliveries that are sent to one destination in one batch."""

    batch: Batch
    places: tuple[Place, ...]
    #: Per delivery, the items that have no answer yet.
    unanswered: dict[int, set[int]] = field(default_factory=dict)
    #: Deliveries that had an answer, or an unknown outcome, that was not good.
    troubled: set[int] = field(default_factory=set)
    #: Deliveries that were settled because each of their items was answered.
    settled: set[int] = field(default_factory=set)
    #: Items whose outcome is open: the destination may have them.
    begun: set[int] = field(default_factory=set)
    #: Deliveries of which the destination took something.
    progressed: set[int] = field(default_factory=set)
    stored: int = 0

    def note_begun(self, numbers: Iterable[int]) -> None:
        """Note that the destination may have these items from now on."""
        self.begun.update(numbers)


def take_turn(
    connection: sa.Connection,
    outbox: Outbox,
    manifests: Manifests,
    key: Ed25519PublicKey,
    destination: Destination,
    due: Iterable[Delivery],
    now: float,
    timeout_seconds: float,
) -> Turn | None:
    """Write the intents of what is sent next, oldest release first; None if nothing is due."""
    items: list[Item] = []
    places: list[Place] = []
    for delivery in due:
        todo = [
            row for row in instances.instances_of(connection, delivery.id) if row.state in _OPEN
        ]
        if items and len(items) + len(todo) > BATCH_INSTANCES:
            break
        try:
            manifest = manifests.read(outbox.releases / delivery.release, key)
        except ManifestInvalid as error:
            refuse(connection, delivery, now, str(error))
            continue
        entries = {entry.file: entry for entry in manifest.instances}
        if any(row.file not in entries for row in todo):
            refuse(connection, delivery, now, "the manifest does not list what is to be sent")
            continue
        if instances.another_version_is_out(connection, destination.name, delivery.id):
            refuse(connection, delivery, now, _TWO_VERSIONS)
            continue
        ledger.move(connection, delivery.id, delivery.state, DeliveryState.SENDING, now)
        before = instances.intended_before(connection, destination.name, delivery.id)
        for row in todo:
            sent_before = row.intents > 0 or row.sha256 in before
            entry = entries[row.file]
            items.append(_item(len(items), outbox, delivery, entry, sent_before=sent_before))
            places.append(Place(delivery.id, row.file, row.failures))
        instances.intend(connection, delivery.id, [row.file for row in todo])
        log.info(
            "delivery_started", study=delivery.study, generation=delivery.generation,
            destination=destination.name, instances=len(todo),
        )  # fmt: skip
    if not items:
        return None
    turn = Turn(Batch(destination, tuple(items), timeout_seconds, keep_open=True), tuple(places))
    for number, place in enumerate(places):
        turn.unanswered.setdefault(place.delivery, set()).add(number)
    return turn


def record(connection: sa.Connection, turn: Turn, answers: Sequence[Answer]) -> None:
    """Write answers as they come."""
    outcomes = []
    for answer in answers:
        place = turn.places[answer.number]
        state = _state_after(answer, place)
        if state is InstanceState.STORED:
            turn.stored += 1
            turn.progressed.add(place.delivery)
        else:
            turn.troubled.add(place.delivery)
        failed = answer.reaction is Reaction.THREE_TRIES
        outcomes.append(
            InstanceOutcome(place.delivery, place.file, state, answer.text, failed=failed)
        )
        turn.unanswered[place.delivery].discard(answer.number)
    instances.record(connection, outcomes)


def take_back(connection: sa.Connection, turn: Turn) -> None:
    """Take back the intents of items that, as an orderly end tells, never left."""
    never_left = [
        InstanceOutcome(place.delivery, place.file, InstanceState.PENDING, begun=False)
        for number, place in enumerate(turn.places)
        if number in turn.unanswered[place.delivery] and number not in turn.begun
    ]
    instances.record(connection, never_left)


def suspect(turn: Turn) -> None:
    """Count what a sender that failed had in hand as troubled; else it was about to have it.

    Else a file that ends each sender would be the first of each turn, and hold all others.
    """
    unanswered = sorted(number for numbers in turn.unanswered.values() for number in numbers)
    in_hand = [number for number in unanswered if number in turn.begun]
    turn.troubled |= {turn.places[number].delivery for number in in_hand or unanswered[:1]}


def refuse(connection: sa.Connection, delivery: Delivery, now: float, reason: str) -> None:
    """Stop a delivery until a person has looked at it."""
    ledger.move(
        connection, delivery.id, delivery.state, DeliveryState.REFUSED, now, answer=reason,
        next_attempt_at=None,
    )  # fmt: skip
    log.error(
        "delivery_refused", study=delivery.study, generation=delivery.generation,
        destination=delivery.destination, reason=reason,
    )  # fmt: skip


def _state_after(answer: Answer, place: Place) -> InstanceState:
    match answer.reaction:
        case Reaction.STORED:
            return InstanceState.STORED
        case Reaction.REFUSE:
            return InstanceState.REFUSED
        case Reaction.THREE_TRIES:
            return InstanceState.REFUSED if place.failures + 1 >= TRIES else InstanceState.PENDING
        case Reaction.RETRY | Reaction.SUSPEND:
            return InstanceState.INTENDED if answer.unknown else InstanceState.PENDING


def _item(
    number: int, outbox: Outbox, delivery: Delivery, entry: ReleasedInstance, *, sent_before: bool
) -> Item:
    return Item(
        number=number,
        path=outbox.releases / delivery.release / entry.file,
        sop_class_uid=entry.sop_class_uid,
        sop_instance_uid=entry.sop_instance_uid,
        transfer_syntax_uid=entry.transfer_syntax_uid,
        bytes=entry.bytes,
        sha256=entry.sha256,
        sent_before=sent_before,
    )
