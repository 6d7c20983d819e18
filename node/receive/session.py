"""One connection's story: who is it, may it send, and its messages until it ends."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import structlog

from node.config import Peer, Receive
from node.inbox.header import HeaderReader
from node.inbox.layout import Inbox
from node.observe import exception_facts
from node.receive.admission import Caller, Place, Places, Policy, judge
from node.receive.commitment_service import answer_commitment
from node.receive.contexts import contexts_for
from node.receive.reports import Reports
from node.receive.spool import Spool, new_association_id
from node.receive.storage import Storage
from node.receive.store import Refusal, store
from node.receive.telling import Telling
from node.upper_layer import (
    AssociateRequest,
    Association,
    CommandField,
    Connection,
    ConnectionLost,
    Message,
    ProtocolViolated,
    Rejection,
    Status,
    UpperLayerError,
)
from node.upper_layer.names import STORAGE_COMMITMENT_PUSH, VERIFICATION

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
    reports: Reports
    telling: Telling = field(default_factory=Telling)


@dataclass(slots=True)
class Tally:
    """What an association brought."""

    association: str
    began: float = field(default_factory=time.monotonic)
    instances: int = 0
    bytes: int = 0
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Session:
    """One association with all that its messages need."""

    association: Association
    peer: Peer | None
    spool: Spool
    receiver: Receiver
    tally: Tally
    headers: HeaderReader = field(default_factory=HeaderReader)


def serve(connection: Connection, receiver: Receiver) -> None:
    """Serve a connection to its end. Raises UpperLayerError where the peer's part went wrong."""
    try:
        request = connection.read_request()
    except ConnectionLost:
        return  # a port scanner, a health check: nothing was asked
    except UpperLayerError as error:
        what = {"reason": type(error).__name__, "what": str(error)}
        receiver.telling.warn("association_rejected", address=connection.address, **what)
        raise
    caller = Caller(connection.address, connection.is_tls, connection.certificate_sha256)
    verdict = judge(request, caller, receiver.policy)
    if isinstance(verdict, Rejection):
        _reject(connection, request, verdict, receiver)
    elif not receiver.storage.takes_instances():
        _reject(connection, request, Rejection.TEMPORARY_CONGESTION, receiver)
    else:
        with receiver.places.take(verdict, caller) as place:
            if place:
                _converse(connection, verdict, receiver, place)
            else:
                _reject(connection, request, Rejection.LOCAL_LIMIT_EXCEEDED, receiver)


def _reject(
    connection: Connection, request: AssociateRequest, rejection: Rejection, receiver: Receiver
) -> None:
    receiver.telling.warn(
        "association_rejected",
        reason=rejection.name.lower(),
        peer=request.calling_ae_title,
        address=connection.address,
    )
    connection.reject(rejection)


def _converse(connection: Connection, peer: Peer | None, receiver: Receiver, place: Place) -> None:
    contexts = contexts_for(receiver.receive, peer)
    association = place.association = connection.accept(contexts)
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
            session = Session(association, peer, spool, receiver, tally)
            while (message := association.receive()) is not None:
                answer(session, message)
    except UpperLayerError as error:
        facts = _summary(tally) | {"reason": type(error).__name__, "what": str(error)}
        receiver.telling.warn("association_aborted", **facts)
    else:
        log.info("association_ended", **_summary(tally))


def answer(session: Session, message: Message) -> None:
    """Do what a message asks for and answer it."""
    command = message.command
    match command.field:
        case CommandField.C_STORE_RQ:
            status = c_store(session, message)
        case CommandField.C_ECHO_RQ:
            matches = message.context.abstract_syntax == VERIFICATION
            status = Status.SUCCESS if matches else Status.UNRECOGNISED_OPERATION
        case CommandField.N_ACTION_RQ:
            if message.context.abstract_syntax == STORAGE_COMMITMENT_PUSH and session.peer:
                answer_commitment(
                    session.association,
                    message,
                    session.peer,
                    session.receiver.inbox,
                    session.receiver.reports,
                )
                return
            status = Status.UNRECOGNISED_OPERATION
        case CommandField.C_CANCEL_RQ | CommandField.N_EVENT_REPORT_RSP:
            # PS3.7 9.3.2.3: no response, and nothing here to cancel. A peer's word on a commitment
            # result changes nothing either.
            return
        case _ if command.is_request:
            status = Status.UNRECOGNISED_OPERATION
        case _:
            session.association.abort()
            raise ProtocolViolated("an answer to nothing that was asked")
    session.association.pass_over_dataset()
    session.association.send(message.context.context_id, command.answer(status))
    if command.field == CommandField.C_STORE_RQ:
        session.spool.prepare()


def c_store(session: Session, message: Message) -> Status:
    """C-STORE (PS3.4 B.2.3): durable and 0x0000, or a status that says why not."""
    receiver, tally = session.receiver, session.tally
    if message.context.abstract_syntax in (VERIFICATION, STORAGE_COMMITMENT_PUSH):
        return Status.SOP_CLASS_NOT_SUPPORTED
    try:
        stored = store(
            session.association,
            message,
            session.spool,
            session.headers,
            receiver.storage,
            receiver.receive.max_instance_bytes,
        )
    except Refusal as refusal:
        return _refuse(session, refusal.status, reason=refusal.reason)
    except UpperLayerError:
        raise  # the association is over: there is nobody to answer
    except Exception as error:  # noqa: BLE001 -- a mistake of ours costs this instance, not the rest
        return _refuse(session, Status.PROCESSING_FAILURE, **exception_facts(error))
    tally.instances += 1
    tally.bytes += stored.bytes
    log.debug("instance_received", association=tally.association, bytes=stored.bytes)
    return Status.SUCCESS


def _refuse(session: Session, status: Status, **why: Any) -> Status:
    """Count a refusal, and tell it unless there were many."""
    session.tally.refused[status.name] += 1
    if session.tally.refused.total() <= _REFUSALS_TOLD:
        session.receiver.telling.warn(
            "instance_refused",
            association=session.tally.association,
            status=status.name,
            **why,
        )
    return status


def _summary(tally: Tally) -> dict[str, Any]:
    return {
        "association": tally.association,
        "instances": tally.instances,
        "bytes": tally.bytes,
        "refused": dict(tally.refused),
        "seconds": round(time.monotonic() - tally.began, 3),
    }
