"""An association that we open, and what we ask on it (PS3.8 7.1, PS3.7 9.3.1, 9.3.5, 10.1.4)."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from pydicom.dataset import Dataset

from node.upper_layer.agreement import Context, Negotiated, Proposal
from node.upper_layer.association import Association, Message
from node.upper_layer.codec import decode_accept, encode_abort, encode_request
from node.upper_layer.command import Command, CommandField
from node.upper_layer.dataset import encode_dataset
from node.upper_layer.deadlines import Deadlines
from node.upper_layer.errors import (
    AssociationRejected,
    ConnectionFailed,
    ConnectionLost,
    ContextRefused,
    HandshakeFailed,
    PeerAborted,
    ProtocolViolated,
    UpperLayerError,
    WrongAnswer,
)
from node.upper_layer.incoming import PDU_HEADER
from node.upper_layer.names import (
    STORAGE_COMMITMENT_INSTANCE,
    STORAGE_COMMITMENT_PUSH,
    VERIFICATION,
)
from node.upper_layer.outgoing import command_pdus, data_pdus
from node.upper_layer.states import (
    EXPECTED,
    MAX_ASSOCIATE_BYTES,
    SHORT_BYTES,
    AbortReason,
    Pdu,
    State,
)
from node.upper_layer.wire import Buffer, Wire

_MEDIUM_PRIORITY = 0
_REQUEST_COMMITMENT = 1  # PS3.4 Table J.3-1, action type


class RequestedAssociation(Association):
    """An association that we opened. As a context: released at its end, aborted on an exception."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    def send_store(
        self,
        context_id: int,
        message_id: int,
        sop_class: str,
        sop_instance: str,
        chunks: Iterable[Buffer],
        length: int,
    ) -> int:
        """C-STORE a dataset of `length` bytes and give the status of the answer.

        A chunk is sent whole before the next one is asked for. The last fragment leaves only when
        byte number `length` was given; if `chunks` raises before that, the association is aborted
        and the exception goes through. Any UpperLayerError means: the outcome is unknown.
        """
        request = Command(
            CommandField.C_STORE_RQ,
            message_id=message_id,
            sop_class=sop_class,
            sop_instance=sop_instance,
            priority=_MEDIUM_PRIORITY,
            has_dataset=True,
        )
        pieces = command_pdus(context_id, request, self._fragment)
        left = length
        try:
            for chunk in chunks:
                size = len(chunk)
                _check(0 < size <= left)
                left -= size
                pieces += data_pdus(context_id, chunk, self._fragment, is_end=left == 0)
                self._write(pieces)
                pieces = []
            _check(left == 0 < length)
        except BaseException:
            self.abort()
            raise
        return self._status_of(request)

    def echo(self, message_id: int = 1, context_id: int | None = None) -> int:
        """C-ECHO; in the first accepted Verification context if none is named."""
        request = Command(CommandField.C_ECHO_RQ, message_id=message_id, sop_class=VERIFICATION)
        if context_id is None:
            context_id = self.accepted_context(VERIFICATION).context_id
        return self.ask(context_id, request)

    def request_commitment(
        self,
        context_id: int,
        message_id: int,
        transaction_uid: str,
        references: Sequence[tuple[str, str]],
    ) -> int:
        """N-ACTION: ask to commit to instances (SOP class, SOP instance) (PS3.4 J.3.2)."""
        request = Command(
            CommandField.N_ACTION_RQ,
            message_id=message_id,
            sop_class=STORAGE_COMMITMENT_PUSH,
            sop_instance=STORAGE_COMMITMENT_INSTANCE,
            action_type=_REQUEST_COMMITMENT,
            has_dataset=True,
        )
        dataset = Dataset()
        dataset.TransactionUID = transaction_uid
        dataset.ReferencedSOPSequence = [
            _reference(sop_class, sop_instance) for sop_class, sop_instance in references
        ]
        syntax = self.contexts[context_id].transfer_syntax
        return self.ask(context_id, request, encode_dataset(dataset, syntax))

    def ask(self, context_id: int, request: Command, dataset: Buffer = b"") -> int:
        """Send a request, wait for its answer, check that it is the answer, give its status."""
        self.send(context_id, request, dataset)
        return self._status_of(request)

    def wait_for_message(self, seconds: float) -> Message | None:
        """Wait for a message of the peer, such as N-EVENT-REPORT; None if it released.

        Raises PeerTimedOut (and the association is over) when nothing came in time.
        """
        self.pass_over_dataset()
        return self._receive(time.monotonic() + seconds, "a message")

    def accepted_context(self, abstract_syntax: str) -> Context:
        """Give the first accepted context of a SOP class; ContextRefused if there is none."""
        for context in self.contexts.values():
            if context.abstract_syntax == abstract_syntax:
                return context
        raise ContextRefused("the peer accepted no presentation context for this SOP class")

    def _status_of(self, request: Command) -> int:
        """Wait for the answer to a request and check that it is the answer to this one."""
        step = "the answer to a request"
        message = self._receive(time.monotonic() + self.deadlines.answer, step)
        if message is None:
            raise ConnectionLost("the peer released the association instead of answering")
        answer = message.command
        if (
            answer.field != request.answer(0).field
            or answer.message_id_responded_to != request.message_id
            or answer.status is None
            or (answer.sop_instance and answer.sop_instance != request.sop_instance)
        ):
            self.abort(AbortReason.UNEXPECTED_PARAMETER)
            raise WrongAnswer("the peer answered another request than ours")
        self.pass_over_dataset()
        return answer.status


def open_association(
    host: str,
    port: int,
    calling: str,
    called: str,
    contexts: Sequence[Proposal],
    deadlines: Deadlines = Deadlines(),  # noqa: B008 -- frozen
    tls: ssl.SSLContext | None = None,
    max_pdu_length: int = 262144,
) -> RequestedAssociation:
    """Open an association. An acceptor that takes no context still gives one: look at `contexts`.

    Raises ConnectionFailed, HandshakeFailed, AssociationRejected, PeerAborted, PeerTimedOut,
    ConnectionLost, ProtocolViolated.
    """
    sock = _connect(host, port, deadlines, tls)
    wire = Wire(sock, 2 * max(max_pdu_length + 6, MAX_ASSOCIATE_BYTES + 6))
    try:
        request = encode_request(calling, called, contexts, max_pdu_length)
        wire.send([request], deadlines.write, "to take our request")
        negotiated = _answer(wire, contexts, deadlines)
    except BaseException as error:
        if isinstance(error, ProtocolViolated):
            with contextlib.suppress(UpperLayerError):
                wire.send([encode_abort(error.reason)], deadlines.release, "the abort")
        wire.close()
        raise
    return RequestedAssociation(wire, negotiated, calling, called, max_pdu_length, deadlines)


def _connect(
    host: str, port: int, deadlines: Deadlines, tls: ssl.SSLContext | None
) -> socket.socket:
    try:
        sock = socket.create_connection((host, port), deadlines.connect)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConnectionFailed(f"no connection to the peer: {reason}") from None
    if tls is None:
        return sock
    try:
        sock.settimeout(deadlines.connect)
        return tls.wrap_socket(sock, server_hostname=host)
    except (OSError, ValueError) as error:
        sock.close()
        reason = getattr(error, "verify_message", "") or type(error).__name__
        raise HandshakeFailed(f"the TLS handshake failed: {reason}") from None


def _answer(wire: Wire, contexts: Sequence[Proposal], deadlines: Deadlines) -> Negotiated:
    deadline = time.monotonic() + deadlines.associate
    step = "the answer to our association request"
    wire.fill(6, deadline, step)
    kind, length = PDU_HEADER.unpack_from(wire.view, wire.start)
    if kind not in EXPECTED[State.AWAITING_ANSWER]:
        raise ProtocolViolated("the peer answered our association request with another PDU")
    if length > (MAX_ASSOCIATE_BYTES if kind == Pdu.A_ASSOCIATE_AC else SHORT_BYTES):
        raise ProtocolViolated("the answer to our association request is too long")
    wire.fill(6 + length, deadline, step)
    pdu = bytes(wire.take(6 + length))
    if kind == Pdu.A_ASSOCIATE_AC:
        return decode_accept(pdu, contexts)
    if length != SHORT_BYTES:
        raise ProtocolViolated("the answer to our association request is too short")
    if kind == Pdu.A_ASSOCIATE_RJ:
        raise AssociationRejected(*pdu[-3:])
    raise PeerAborted(*pdu[-2:])


def _check(length_is_right: bool) -> None:
    if not length_is_right:
        raise ValueError("the chunks do not have the length that was told")


def _reference(sop_class: str, sop_instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = sop_instance
    return item
