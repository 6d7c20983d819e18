"""An established association, ours or a peer's: messages in, messages out (PS3.7 Annex E, PS3.8).

One thread reads, acts and answers in turn, so a peer that sends faster than we store is held back
by TCP, and nothing of a dataset is ever kept but the PDU in hand.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from node.upper_layer.codec import RELEASE_RP, RELEASE_RQ, Context, Negotiated, encode_abort
from node.upper_layer.command import (
    MAX_COMMAND_BYTES,
    Command,
    decode_command,
    encode_command,
)
from node.upper_layer.deadlines import SLOWEST_RATE, Deadlines
from node.upper_layer.errors import (
    ConnectionLost,
    PeerAborted,
    PeerTimedOut,
    ProtocolViolated,
    UpperLayerError,
)
from node.upper_layer.states import EXPECTED, SHORT_BYTES, AbortReason, Pdu, State
from node.upper_layer.wire import Buffer, Wire

_PDU_HEADER = struct.Struct(">BxI")  # PS3.8 9.3.1: type, reserved, length
_PDV_HEADER = struct.Struct(">IBB")  # PS3.8 9.3.5.1: length, context, message control header
_COMMAND, _LAST = 1, 2  # PS3.8 E.2: bits of the message control header
_SHORTEST_PDV = 6
_SHORTEST_ITEM = 2  # what a PDV's length counts at least: context id and control header

#: What a caller leaves unread of a dataset is passed over up to this; more ends the association.
_MOST_PASSED_OVER = 64 * 1024 * 1024
#: How long we wait for a peer to take an A-ABORT and to close.
_ABORT_SECONDS = 1.0
#: A peer may tell that it takes PDUs of any length; one piece of ours is never longer.
_LONGEST_SENT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """A command that arrived, in its presentation context."""

    context: Context
    command: Command


class Association:
    """An association between `calling_ae_title` and `called_ae_title`."""

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
        self._wire = wire
        self._max_pdu = max_pdu_length
        peer_max = negotiated.peer_max_pdu or _LONGEST_SENT
        self._fragment = max(min(peer_max, _LONGEST_SENT) - _SHORTEST_PDV, 2) & ~1
        self._state = State.ESTABLISHED
        self._ended = False
        # The rest of the P-DATA-TF in hand, and the dataset that is being received.
        self._pdu_left = 0
        self._dataset_context = 0
        self._message_started = 0.0
        self._message_bytes = 0

    # -- messages in

    def receive(self) -> Message | None:
        """Wait for the next message; None when the peer released the association.

        Raises PeerAborted, ConnectionLost, PeerTimedOut, ProtocolViolated.
        """
        self.pass_over_dataset()
        if self.interrupted:
            self.abort()
            raise ConnectionLost("we were asked to end")
        return self._receive(time.monotonic() + self.deadlines.idle, "the next message")

    def fragments(self) -> Iterator[memoryview]:
        """Give the dataset of the last message, piece by piece; each is valid until the next."""
        while self._dataset_context:
            context_id, control, data = self._pdv(self._message_deadline(), "a dataset")
            if control & _COMMAND or context_id != self._dataset_context:
                self._violated("a dataset is interrupted", AbortReason.UNEXPECTED_PARAMETER)
            self._message_bytes += len(data)
            if control & _LAST:
                self._dataset_context = 0
            if data:
                yield data

    def read_dataset(self, limit: int) -> bytes:
        """Read a whole small dataset; ProtocolViolated where it is longer than `limit` bytes."""
        whole = bytearray()
        for fragment in self.fragments():
            whole += fragment
            if len(whole) > limit:
                self._violated("a dataset is too long", AbortReason.NOT_SPECIFIED)
        return bytes(whole)

    def _receive(self, deadline: float, step: str) -> Message | None:
        command = bytearray()
        first_context = 0
        self.waiting = True
        while True:
            if not self._pdu_left and self._next_pdu(deadline, step) is Pdu.A_RELEASE_RQ:
                if command:
                    self._violated("a release inside a message", AbortReason.UNEXPECTED_PDU)
                self._answer_release()
                return None
            self.waiting = False
            if not command:
                self._message_started, self._message_bytes = time.monotonic(), 0
            context_id, control, data = self._pdv(self._message_deadline(), "a command")
            first_context = first_context or context_id
            command += data
            if not control & _COMMAND or context_id != first_context:
                self._violated("a command is interrupted", AbortReason.UNEXPECTED_PARAMETER)
            if len(command) > MAX_COMMAND_BYTES:
                self._violated("a command is too long", AbortReason.INVALID_PARAMETER)
            if control & _LAST:
                return self._message(context_id, bytes(command))
            deadline, step = self._message_deadline(), "a command"

    def _message(self, context_id: int, encoded: bytes) -> Message:
        context = self.contexts.get(context_id)
        if context is None:
            self._violated("a message in no accepted context", AbortReason.INVALID_PARAMETER)
        try:
            command = decode_command(encoded)
        except ProtocolViolated as error:
            self._violated(error.what, AbortReason.INVALID_PARAMETER)
        self._dataset_context = context_id if command.has_dataset else 0
        return Message(context, command)

    def pass_over_dataset(self) -> None:
        """Receive what is left of a dataset and forget it; what does not end is aborted."""
        passed = 0
        for fragment in self.fragments():
            passed += len(fragment)
            if passed > _MOST_PASSED_OVER:
                self._violated("a refused dataset does not end", AbortReason.NOT_SPECIFIED)

    def _message_deadline(self) -> float:
        grace = self.deadlines.idle + self._message_bytes / SLOWEST_RATE
        return min(self._message_started + grace, time.monotonic() + self.deadlines.idle)

    def _pdv(self, deadline: float, step: str) -> tuple[int, int, memoryview]:
        """Give the next presentation data value: context id, control header, data."""
        while not self._pdu_left:
            if self._next_pdu(deadline, step) is not Pdu.P_DATA_TF:
                self._violated("a release inside a message", AbortReason.UNEXPECTED_PDU)
        if self._pdu_left < _SHORTEST_PDV:
            self._violated("a PDV is cut short", AbortReason.INVALID_PARAMETER)
        wire = self._wire
        length, context_id, control = _PDV_HEADER.unpack_from(wire.view, wire.start)
        if not _SHORTEST_ITEM <= length <= self._pdu_left - 4:
            self._violated("a PDV's length is wrong", AbortReason.INVALID_PARAMETER)
        self._pdu_left -= length + 4
        wire.take(_SHORTEST_PDV)
        return context_id, control, wire.take(length - _SHORTEST_ITEM)

    def _next_pdu(self, deadline: float, step: str) -> Pdu:
        """Receive a PDU: a P-DATA-TF's payload stays in the buffer, an A-ABORT is raised."""
        wire = self._wire
        try:
            wire.fill(6, deadline, step)
            kind, length = _PDU_HEADER.unpack(wire.take(6))
            if kind not in EXPECTED[self._state]:
                self._violated("an unexpected PDU", AbortReason.UNEXPECTED_PDU)
            # The length is bounded before a byte of the payload is waited for.
            if kind == Pdu.P_DATA_TF:
                if not _SHORTEST_PDV <= length <= self._max_pdu:
                    self._violated("a P-DATA-TF's length is wrong", AbortReason.INVALID_PARAMETER)
            elif length != SHORT_BYTES:
                self._violated("a PDU's length is wrong", AbortReason.INVALID_PARAMETER)
            wire.fill(length, time.monotonic() + self.deadlines.idle, "the rest of a PDU")
        except PeerTimedOut:
            self.abort(AbortReason.NOT_SPECIFIED)
            raise
        except ConnectionLost:
            if self.interrupted:
                self.abort()
            self._end(0)
            raise
        if kind == Pdu.P_DATA_TF:
            self._pdu_left = length
            return Pdu.P_DATA_TF
        _, _, source, reason = wire.take(SHORT_BYTES)
        if kind == Pdu.A_ABORT:
            self._end(0)
            raise PeerAborted(source, reason)
        return Pdu(kind)

    # -- messages out

    def send(self, context_id: int, command: Command, dataset: Buffer = b"") -> None:
        """Send a message; its PDUs leave in one write. Raises PeerTimedOut, ConnectionLost."""
        pieces: list[Buffer] = [self._command_pdu(context_id, command)]
        if command.has_dataset:
            pieces += self._data_pdus(context_id, [dataset], len(dataset), len(dataset))
        self._write(pieces)

    def _command_pdu(self, context_id: int, command: Command) -> bytes:
        encoded = encode_command(command)
        parts = []
        for start in range(0, len(encoded), self._fragment):
            part = encoded[start : start + self._fragment]
            last = _LAST if start + len(part) == len(encoded) else 0
            parts += [self._headers(context_id, _COMMAND | last, len(part)), part]
        return b"".join(parts)

    def _data_pdus(
        self, context_id: int, buffers: Iterable[Buffer], size: int, left: int
    ) -> list[Buffer]:
        """Cut `size` bytes into PDUs; the last one is marked if they are all of the `left` ones."""
        pieces: list[Buffer] = []
        for buffer in buffers:
            view = memoryview(buffer)
            for start in range(0, len(view), self._fragment):
                part = view[start : start + self._fragment]
                left -= len(part)
                pieces += [self._headers(context_id, 0 if left else _LAST, len(part)), part]
        if not size:
            pieces.append(self._headers(context_id, _LAST, 0))
        return pieces

    def _headers(self, context_id: int, control: int, length: int) -> bytes:
        pdu = _PDU_HEADER.pack(Pdu.P_DATA_TF, length + _SHORTEST_PDV)
        return pdu + _PDV_HEADER.pack(length + 2, context_id, control)

    def _write(self, pieces: list[Buffer]) -> None:
        try:
            self._wire.send(pieces, self.deadlines.write, "to take what we sent")
        except UpperLayerError:
            self._end(0)
            raise

    # -- the end

    def release(self) -> None:
        """Release (PS3.8 7.2), or abort if the peer does not answer in time; never raises."""
        if self._ended:
            return
        deadline = time.monotonic() + self.deadlines.release
        try:
            self._wire.send([RELEASE_RQ], self.deadlines.release, "the release")
            self._state = State.AWAITING_RELEASE
            self._wire.take(self._pdu_left)
            while (kind := self._next_pdu(deadline, "the release")) is not Pdu.A_RELEASE_RP:
                if kind is Pdu.P_DATA_TF:  # AR-6: what still comes is passed over
                    self._wire.take(self._pdu_left)
                else:  # AR-8 and AR-9: both released at the same time
                    self._wire.send([RELEASE_RP], self.deadlines.release, "the release")
        except UpperLayerError:
            pass
        self._end(0)

    def abort(self, reason: AbortReason | None = None) -> None:
        """Send A-ABORT, the service user's unless a provider's reason is given; never raises."""
        if self._ended:
            return
        self.closing = True
        try:
            self._wire.send([encode_abort(reason)], _ABORT_SECONDS, "the abort")
        except UpperLayerError:
            self._end(0)
        else:
            self._end(_ABORT_SECONDS)

    def interrupt(self) -> None:
        """From another thread: end when the message in hand is answered; at once if none is."""
        self.interrupted = True
        if self.waiting:
            self._wire.interrupt()

    def cut(self) -> None:
        """From another thread: end now, whatever is in hand."""
        self._wire.cut()

    @property
    def ended(self) -> bool:
        """Tell whether the connection is closed."""
        return self._ended

    def _answer_release(self) -> None:
        self.closing = True
        try:
            self._wire.send([RELEASE_RP], self.deadlines.release, "the release")
        except UpperLayerError:
            self._end(0)
        else:
            self._end(self.deadlines.release)

    def _violated(self, what: str, reason: AbortReason) -> NoReturn:
        self.abort(reason)
        raise ProtocolViolated(what)

    def _end(self, linger_seconds: float) -> None:
        if not self._ended:
            self.closing = self._ended = True
            self._wire.close(linger_seconds)
