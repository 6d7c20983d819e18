"""A message cut into P-DATA-TF PDUs that the peer takes (PS3.8 9.3.5 and Annex E)."""

from __future__ import annotations

from node.upper_layer.command import Command, encode_command
from node.upper_layer.incoming import PDU_HEADER, PDV_HEADER, PDV_HEADER_BYTES
from node.upper_layer.states import Pdu
from node.upper_layer.wire import Buffer

#: Bits of the message control header (PS3.8 E.2).
COMMAND, LAST = 1, 2
#: A peer may tell that it takes PDUs of any length; one of ours is never longer.
_LONGEST = 1024 * 1024


def fragment_bytes(peer_max_pdu: int) -> int:
    """Give the data bytes of a PDV so that its PDU is as long as the peer takes (0: no limit)."""
    longest = min(peer_max_pdu or _LONGEST, _LONGEST)
    return max(longest - PDV_HEADER_BYTES, 2) & ~1


def command_pdus(context_id: int, command: Command, fragment: int) -> list[Buffer]:
    """Cut a command set into PDUs."""
    return _pdus(context_id, memoryview(encode_command(command)), fragment, COMMAND, is_end=True)


def data_pdus(context_id: int, data: Buffer, fragment: int, is_end: bool) -> list[Buffer]:
    """Cut a part of a dataset into PDUs; where it is the end, the last one says so."""
    return _pdus(context_id, memoryview(data), fragment, 0, is_end=is_end)


def _pdus(
    context_id: int, view: memoryview, fragment: int, control: int, is_end: bool
) -> list[Buffer]:
    pieces: list[Buffer] = []
    for start in range(0, len(view) or 1, fragment):
        part = view[start : start + fragment]
        is_last = is_end and start + len(part) == len(view)
        length = len(part)
        pieces.append(
            PDU_HEADER.pack(Pdu.P_DATA_TF, length + PDV_HEADER_BYTES)
            + PDV_HEADER.pack(length + 2, context_id, control | LAST * is_last)
        )
        pieces.append(part)
    return pieces
