"""The PDUs that arrive on an association: checked, bounded, read where they lie (PS3.8 9.3)."""

from __future__ import annotations

import struct
import time

from node.upper_layer.errors import PeerAborted, ProtocolViolated
from node.upper_layer.states import EXPECTED, SHORT_BYTES, AbortReason, Pdu, State
from node.upper_layer.wire import Wire

PDU_HEADER = struct.Struct(">BxI")  # PS3.8 9.3.1: type, reserved, length
PDV_HEADER = struct.Struct(">IBB")  # PS3.8 9.3.5.1: length, context, message control header
#: A PDV without data: its length, context id and message control header.
PDV_HEADER_BYTES = 6
_COUNTED_IN_LENGTH = 2  # context id and control header count in a PDV's length


class Incoming:
    """Reads PDUs and, of a P-DATA-TF, one presentation data value after the other.

    Everything is raised, nothing is answered: the association does that.
    """

    def __init__(self, wire: Wire, max_pdu_length: int, pdu_seconds: float) -> None:
        #: What a PDU is judged by.
        self.state = State.ESTABLISHED
        self._wire = wire
        self._max_pdu = max_pdu_length
        self._pdu_seconds = pdu_seconds
        self._left = 0  # bytes of the P-DATA-TF in hand that were not looked at

    @property
    def is_inside_pdu(self) -> bool:
        """Tell whether a P-DATA-TF has more to give."""
        return self._left > 0

    @property
    def is_here(self) -> bool:
        """Tell whether `pdv` has not to wait: what it will give was received already."""
        filled = self._wire.filled
        if self._left or filled < PDU_HEADER.size:
            return self._left > 0
        _, length = PDU_HEADER.unpack_from(self._wire.view, self._wire.start)
        return bool(filled >= PDU_HEADER.size + length)

    def next_pdu(self, deadline: float, step: str) -> Pdu:
        """Receive a PDU; the payload of a P-DATA-TF is there for `pdv`.

        The length is bounded before a byte of the payload is waited for.
        """
        self._wire.take(self._left)
        self._left = 0
        wire = self._wire
        wire.fill(6, deadline, step)
        kind, length = PDU_HEADER.unpack(wire.take(6))
        if kind not in EXPECTED[self.state]:
            raise ProtocolViolated("an unexpected PDU", AbortReason.UNEXPECTED_PDU)
        if kind == Pdu.P_DATA_TF:
            if not PDV_HEADER_BYTES <= length <= self._max_pdu:
                raise ProtocolViolated("a P-DATA-TF's length is wrong")
        elif length != SHORT_BYTES:
            raise ProtocolViolated("a PDU's length is wrong")
        wire.fill(length, time.monotonic() + self._pdu_seconds, "the rest of a PDU")
        if kind == Pdu.P_DATA_TF:
            self._left = length
            return Pdu.P_DATA_TF
        _, _, source, reason = wire.take(SHORT_BYTES)
        if kind == Pdu.A_ABORT:
            raise PeerAborted(source, reason)
        return Pdu(kind)

    def pdv(self, deadline: float, step: str) -> tuple[int, int, memoryview]:
        """Give the next PDV: context id, control header, data; valid until the next call."""
        if not self._left and self.next_pdu(deadline, step) is not Pdu.P_DATA_TF:
            raise ProtocolViolated("a release inside a message", AbortReason.UNEXPECTED_PDU)
        if self._left < PDV_HEADER_BYTES:
            raise ProtocolViolated("a PDV is cut short")
        wire = self._wire
        length, context_id, control = PDV_HEADER.unpack_from(wire.view, wire.start)
        if not _COUNTED_IN_LENGTH <= length <= self._left - 4:
            raise ProtocolViolated("a PDV's length is wrong")
        self._left -= length + 4
        wire.take(PDV_HEADER_BYTES)
        return context_id, control, wire.take(length - _COUNTED_IN_LENGTH)
