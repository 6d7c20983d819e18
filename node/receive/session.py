"""One connection's story: who is it, may it send, and its messages until it ends."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

import structlog

from node.config import Peer, Receive
from node.inbox.layout import Inbox
from node.receive.admission import Caller, Places, Policy, judge
from node.receive.contexts import supported_contexts
from node.receive.spool import Spool, new_association_id
from node.receive.storage import Storage
from node.receive.store import Refusal, store
from node.upper_layer import (
    Association,
    Command,
    CommandField,
    Connection,
    Message,
    Rejection,
    Status,
    UpperLayerError,
)
from node.upper_layer.names import VERIFICATION

log = structlog.get_logger()

#: Refusals of one association that are logged one by one; the rest are counted.
_REFUSALS_TOLD = 5


@dataclass(frozen=True)
class Receiver:
    """What every session of this role shares."""

    inbox: Inbox
    receive: Receive
    policy: Policy
    places: Places
    storage: Storage


@dataclass(slots=True)
class Tally:
    """What an association brought."""

    association: str
    began: float = field(default_factory=time.monotonic)
    instances: int = 0
    bytes: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def serve(connection: Connection, receiver: Receiver) -> None:
    """Serve a connection to its end. Raises UpperLayerError where the peer's part went wrong."""
    request = connection.read_request()
    caller = Caller(connection.address, connection.is_tls, connection.certificate_sha256)
    verdict = judge(request, caller, receiver.policy)
    if isinstance(verdict, Rejection):
        _reject(connection, verdict, request.calling_ae_title)
        return
    if not receiver.storage.takes_instances():
        _reject(connection, Rejection.TEMPORARY_CONGESTION, request.calling_ae_title)
        return
    with receiver.places.take(verdict, caller) as free:
        if not free:
            _reject(connection, Rejection.LOCAL_LIMIT_EXCEEDED, request.calling_ae_title)
            return
        syntaxes = verdict.syntaxes if verdict else ()
        association = connection.accept(
            supported_contexts(receiver.receive, syntaxes) if syntaxes else None
        )
        _converse(association, verdict, receiver, connection)


def _reject(connection: Connection, rejection: Rejection, calling: str) -> None:
    log.warning(
        "association_rejected",
        reason=rejection.name.lower(),
        peer=calling,
        address=connection.address,
    )
    connection.reject(rejection)


def _converse(
    association: Association, _peer: Peer | None, receiver: Receiver, connection: Connection
) -> None:
    tally = Tally(new_association_id())
    log.info(
        "association_accepted",
        association=tally.association,
        peer=association.calling_ae_title,
        address=connection.address,
        contexts=len(association.contexts),
    )
    try:
        with Spool(receiver.inbox, tally.association) as spool:
            while (message := association.receive()) is not None:
                _answer(association, message, spool, receiver, tally)
    except UpperLayerError as error:
        _tell_end("association_aborted", tally, reason=type(error).__name__, what=str(error))
    else:
        _tell_end("association_ended", tally)


def _tell_end(event: str, tally: Tally, **more: str) -> None:
    log.info(
        event,
        association=tally.association,
        instances=tally.instances,
        bytes=tally.bytes,
        refused=dict(tally.refused),
        seconds=round(time.monotonic() - tally.began, 3),
        **more,
    )


def _answer(
    association: Association, message: Message, spool: Spool, receiver: Receiver, tally: Tally
) -> None:
    command = message.command
    if command.field == CommandField.C_STORE_RQ:
        status = _c_store(association, message, spool, receiver, tally)
    elif command.field == CommandField.C_ECHO_RQ:
        matches = message.context.abstract_syntax == VERIFICATION
        status = Status.SUCCESS if matches else Status.UNRECOGNISED_OPERATION
    elif command.field == CommandField.C_CANCEL_RQ:
        return  # PS3.7 9.3.2.3: it has no response, and nothing here can be cancelled
    else:
        status = Status.UNRECOGNISED_OPERATION
    _respond(association, message.context.context_id, command, status)


def _c_store(
    association: Association, message: Message, spool: Spool, receiver: Receiver, tally: Tally
) -> Status:
    """C-STORE (PS3.4 B.2.3): durable and 0x0000, or a status that says why not."""
    if message.context.abstract_syntax == VERIFICATION:
        return Status.SOP_CLASS_NOT_SUPPORTED
    try:
        stored = store(
            association, message, spool, receiver.storage, receiver.receive.max_instance_bytes
        )
    except Refusal as refusal:
        tally.refused[refusal.status.name] += 1
        if tally.refused.total() <= _REFUSALS_TOLD:
            log.warning(
                "instance_refused",
                association=tally.association,
                status=refusal.status.name,
                reason=refusal.reason,
            )
        return refusal.status
    tally.instances += 1
    tally.bytes += stored.bytes
    log.debug("instance_received", association=tally.association, bytes=stored.bytes)
    return Status.SUCCESS


def _respond(association: Association, context_id: int, command: Command, status: Status) -> None:
    association.pass_over_dataset()
    association.send(context_id, command.answer(status))
