"""An established association, ours or a peer's: messages in, messages out (PS3.7 Annex E, PS3.8).

One thread reads, acts and answers in turn, so a peer that sends faster than we store is held back
by TCP, and nothing of a dataset is ever kept but the PDU in hand.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from node.upper_layer.agreement import Context, Negotiated
from node.upper_layer.codec import RELEASE_RP, RELEASE_RQ, encode_abort
from node.upper_layer.command import MAX_COMMAND_BYTES, Command, decode_command
from node.upper_layer.deadlines import SLOWEST_RATE, Deadlines
from node.upper_layer.errors import (
    ConnectionLost,
    PeerTimedOut,
    ProtocolViolated,
    UpperLayerError,
)
from node.upper_layer.incoming import Incoming
from node.upper_layer.outgoing import COMMAND, LAST, command_pdus, data_pdus, fragment_bytes
from node.upper_layer.states import AbortReason, Pdu, State
from node.upper_layer.wire import Buffer, Wire

#: What a caller leaves unread of a dataset is passed over up to this; more ends the association.
_MOST_PASSED_OVER = 64 * 1024 * 1024
#: A peer may cut a dataset into the smallest fragments: so many are given at once at most.
_MOST_AT_ONCE = 64
#: How long we wait for a peer to take an A-ABORT and to close.
_ABORT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Message:
    """A command that arrived, in its presentation context."""

    context: Context
    command: Command


class Association:
    """An association between `calling_ae_title` and `called_ae_title`.

    Belongs to one thread, except for `interrupt` and `cut`. Once a method has raised an
    UpperLayerError the association is over and its connection closed.
    """

    def __init__(
        self,
        wire: Wire,
        negotiated: Negotiated,
        calling_ae_title: str,
        called_ae_title: str,
        max_pdu_length: int,
        deadlines: Deadlines,
    ) -> None:
        self.calling_ae_title = calling_ae_title
        self.called_ae_title = called_ae_title
        self.contexts: Mapping[int, Context] = negotiated.contexts
        self.refused: Mapping[int, int] = negotiated.refused
        self.deadlines = deadlines
        #: True while we wait for a peer to begin a message, and may be ended without loss.
        self.waiting = False
        #: True from the moment that its end is decided; the peer may not know it yet.
        self.closing = False
        #: True once we were asked to end: what is in hand is finished, then A-ABORT.
        self.interrupted = False
        #: True once the connection is closed.
        self.ended = False
        self._wire = wire
        self._incoming = Incoming(wire, max_pdu_length, deadlines.idle)
        self._fragment = fragment_bytes(negotiated.peer_max_pdu)
        # The message that is being received.
        self._dataset_context = 0
        self._began = 0.0
        self._bytes = 0

    def receive(self) -> Message | None:
        """Wait for the next message; None when the peer released the association.

        Raises PeerAborted, ConnectionLost, PeerTimedOut, ProtocolViolated.
        """
        self.pass_over_dataset()
        if self.interrupted:
            self.abort()
            raise ConnectionLost("we were asked to end")
        return self._receive(time.monotonic() + self.deadlines.idle, "the next message")

    def fragments(self) -> Iterator[list[memoryview]]:
        """Give the dataset of the last message: at each time all that is here of it, in order.

        The fragments of a list are valid until the next list is asked for.
        """
        while self._dataset_context:
            try:
                here = [self._next_fragment()]
                while self._has_more_here and len(here) < _MOST_AT_ONCE:
                    here.append(self._next_fragment())
            except UpperLayerError as error:
                self._end_on(error)
                raise
            yield here

    def read_dataset(self, limit: int) -> bytes:
        """Read a whole small dataset; ProtocolViolated where it is longer than `limit` bytes."""
        whole = bytearray()
        for fragments in self.fragments():
            whole += b"".join(fragments)
            self._bound(len(whole), limit, "a dataset is too long")
        return bytes(whole)

    def pass_over_dataset(self) -> None:
        """Receive what is left of a dataset and forget it; what does not end is aborted."""
        passed = 0
        for fragments in self.fragments():
            passed += sum(map(len, fragments))
            self._bound(passed, _MOST_PASSED_OVER, "a refused dataset does not end")

    def send(self, context_id: int, command: Command, dataset: Buffer = b"") -> None:
        """Send a message; its PDUs leave in one write. Raises PeerTimedOut, ConnectionLost."""
        pieces = command_pdus(context_id, command, self._fragment)
        if command.has_dataset:
            pieces += data_pdus(context_id, dataset, self._fragment, is_end=True)
        self._write(pieces)

    def release(self) -> None:
        """Release (PS3.8 7.2), or end it if the peer does not answer in time; never raises."""
        if self.ended:
            return
        self.closing = True
        deadline = time.monotonic() + self.deadlines.release
        with suppress(UpperLayerError):
            self._wire.send([RELEASE_RQ], self.deadlines.release, "the release")
            self._incoming.state = State.AWAITING_RELEASE
            while (
                kind := self._incoming.next_pdu(deadline, "the release")
            ) is not Pdu.A_RELEASE_RP:
                # AR-6: what still comes is passed over. AR-8, AR-9: both released at once.
                if kind is Pdu.A_RELEASE_RQ:
                    self._wire.send([RELEASE_RP], self.deadlines.release, "the release")
        self._end(0)

    def abort(self, reason: AbortReason | None = None) -> None:
        """Send A-ABORT, the service user's unless a provider's reason is given; never raises."""
        if self.ended:
            return
        self.closing = True
        try:
            self._wire.send([encode_abort(reason)], _ABORT_SECONDS, "the abort")
        except UpperLayerError:
            self._end(0)
        else:
            self._end(_ABORT_SECONDS)

    def is_quiet(self) -> bool:
        """Tell whether the association goes on and the peer has said nothing since its answer."""
        return not self.ended and not self._incoming.is_inside_pdu and self._wire.is_quiet()

    def interrupt(self) -> None:
        """From another thread: end when the message in hand is answered; at once if none is."""
        self.interrupted = True
        if self.waiting:
            self._wire.interrupt()

    def cut(self) -> None:
        """From another thread: end now, whatever is in hand."""
        self._wire.cut()

    def _receive(self, deadline: float, step: str) -> Message | None:
        """Wait for a message until a moment of time.monotonic(); None when the peer released."""
        try:
            self.waiting = True
            if not self._incoming.is_inside_pdu:
                kind = self._incoming.next_pdu(deadline, step)
                if kind is Pdu.A_RELEASE_RQ:
                    self._answer_release()
                    return None
            self.waiting = False
            return self._message()
        except UpperLayerError as error:
            self._end_on(error)
            raise

    def _message(self) -> Message:
        self._began, self._bytes = time.monotonic(), 0
        context_id, encoded = self._command_set()
        context = self.contexts.get(context_id)
        if context is None:
            raise ProtocolViolated("a message in no accepted context")
        command = decode_command(encoded)
        self._dataset_context = context_id if command.has_dataset else 0
        return Message(context, command)

    def _command_set(self) -> tuple[int, bytes]:
        """Put a command set together: its context id and bytes."""
        encoded = bytearray()
        first_context, control = 0, 0
        while not control & LAST:
            context_id, control, data = self._incoming.pdv(self._deadline(), "a command")
            first_context = first_context or context_id
            if not control & COMMAND or context_id != first_context:
                raise ProtocolViolated("a command is interrupted", AbortReason.UNEXPECTED_PARAMETER)
            encoded += data
            if len(encoded) > MAX_COMMAND_BYTES:
                raise ProtocolViolated("a command is too long")
        return first_context, bytes(encoded)

    @property
    def _has_more_here(self) -> bool:
        return self._dataset_context > 0 and self._incoming.is_here

    def _next_fragment(self) -> memoryview:
        context_id, control, data = self._incoming.pdv(self._deadline(), "a dataset")
        if control & COMMAND or context_id != self._dataset_context:
            raise ProtocolViolated("a dataset is interrupted", AbortReason.UNEXPECTED_PARAMETER)
        self._bytes += len(data)
        if control & LAST:
            self._dataset_context = 0
        return data

    def _deadline(self) -> float:
        """Say until when the next PDU of the message in hand must begin."""
        grace = self.deadlines.idle + self._bytes / SLOWEST_RATE
        return min(self._began + grace, time.monotonic() + self.deadlines.idle)

    def _bound(self, size: int, limit: int, what: str) -> None:
        if size > limit:
            self.abort(AbortReason.NOT_SPECIFIED)
            raise ProtocolViolated(what, AbortReason.NOT_SPECIFIED)

    def _end_on(self, error: UpperLayerError) -> None:
        """End the association as the failure asks: PS3.8 AA-3, AA-4, AA-8.

        Its two callers say `try` themselves: both are on the path of every image, where a context
        manager would cost more than it saves lines.
        """
        match error:
            case ProtocolViolated():
                self.abort(error.reason)
            case PeerTimedOut():
                self.abort(AbortReason.NOT_SPECIFIED)
            case _:
                if self.interrupted:
                    self.abort()
                self._end(0)

    def _write(self, pieces: list[Buffer]) -> None:
        try:
            self._wire.send(pieces, self.deadlines.write, "to take what we sent")
        except UpperLayerError:
            self._end(0)
            raise

    def _answer_release(self) -> None:
        self.closing = True
        try:
            self._wire.send([RELEASE_RP], self.deadlines.release, "the release")
        except UpperLayerError:
            self._end(0)
        else:
            self._end(self.deadlines.release)

    def _end(self, linger_seconds: float) -> None:
        if not self.ended:
            self.closing = self.ended = True
            self._wire.close(linger_seconds)
