"""Command sets: what a DIMSE message asks or answers (PS3.7 6.3, 9.3, 10.3 and Annex E).

A command set is always Implicit VR Little Endian and small. This codec is our own because it stands
on the path of every instance; tests hold it to pynetdicom's message classes in both directions.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from node.upper_layer.errors import ProtocolViolated

#: A command set that is longer than this is not one.
MAX_COMMAND_BYTES = 16384

_NO_DATASET = 0x0101
_RESPONSE = 0x8000


class CommandField(IntEnum):
    """PS3.7 Table E.1-1, Command Field."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    C_CANCEL_RQ = 0x0FFF
    N_EVENT_REPORT_RQ = 0x0100
    N_EVENT_REPORT_RSP = 0x8100
    N_ACTION_RQ = 0x0130
    N_ACTION_RSP = 0x8130


# PS3.7 Table E.1-1, by element number of group 0000.
_SOP_CLASS, _REQUESTED_CLASS, _FIELD = 0x0002, 0x0003, 0x0100
_MESSAGE_ID, _RESPONDED_TO, _PRIORITY, _DATASET_TYPE = 0x0110, 0x0120, 0x0700, 0x0800
_STATUS, _SOP_INSTANCE, _REQUESTED_INSTANCE = 0x0900, 0x1000, 0x1001
_EVENT_TYPE, _ACTION_TYPE = 0x1002, 0x1008
_NUMBERS = {
    _FIELD: "field",
    _MESSAGE_ID: "message_id",
    _RESPONDED_TO: "message_id_responded_to",
    _PRIORITY: "priority",
    _STATUS: "status",
    _EVENT_TYPE: "event_type",
    _ACTION_TYPE: "action_type",
}
_UIDS = {
    _SOP_CLASS: "sop_class",
    _REQUESTED_CLASS: "sop_class",
    _SOP_INSTANCE: "sop_instance",
    _REQUESTED_INSTANCE: "sop_instance",
}
#: N-ACTION, N-GET, N-SET and N-DELETE requests name a *Requested* SOP class and instance.
_REQUESTS_OF_AN_INSTANCE = frozenset({0x0130, 0x0110, 0x0120, 0x0150})


@dataclass(frozen=True, slots=True)
class Command:
    """A command set. Numbers that are absent are None, UIDs that are absent are empty."""

    field: int
    message_id: int | None = None
    message_id_responded_to: int | None = None
    sop_class: str = ""
    sop_instance: str = ""
    has_dataset: bool = False
    priority: int | None = None
    status: int | None = None
    event_type: int | None = None
    action_type: int | None = None

    @property
    def is_request(self) -> bool:
        """Tell whether this asks for something (PS3.7 E.1: responses have the top bit set)."""
        return not self.field & _RESPONSE

    def answer(self, status: int, *, has_dataset: bool = False) -> Command:
        """Give the response to this request."""
        return Command(
            field=self.field | _RESPONSE,
            message_id_responded_to=self.message_id,
            sop_class=self.sop_class,
            sop_instance=self.sop_instance,
            has_dataset=has_dataset,
            status=status,
            event_type=self.event_type,
            action_type=self.action_type,
        )


def encode_command(command: Command) -> bytes:
    """Encode a command set, its group length first."""
    requested = command.field in _REQUESTS_OF_AN_INSTANCE
    body = b"".join(
        (
            _uid(_REQUESTED_CLASS if requested else _SOP_CLASS, command.sop_class),
            _number(_FIELD, command.field),
            _number(_MESSAGE_ID, command.message_id),
            _number(_RESPONDED_TO, command.message_id_responded_to),
            _number(_PRIORITY, command.priority),
            _number(_DATASET_TYPE, 0x0001 if command.has_dataset else _NO_DATASET),
            _number(_STATUS, command.status),
            _uid(_REQUESTED_INSTANCE if requested else _SOP_INSTANCE, command.sop_instance),
            _number(_EVENT_TYPE, command.event_type),
            _number(_ACTION_TYPE, command.action_type),
        )
    )
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def decode_command(data: bytes) -> Command:
    """Decode a command set; elements that we have no use for are passed over.

    Raises
    ------
    ProtocolViolated
        It is not a command set: a foreign group, a length past the end, an element twice, a number
        of the wrong size, or one without Command Field or Command Data Set Type.
    """
    numbers: dict[str, int] = {}
    uids: dict[str, str] = {}
    dataset_type: int | None = None
    seen: set[int] = set()
    position = 0
    while position < len(data):
        if position + 8 > len(data):
            raise ProtocolViolated("a command set ends inside an element")
        group, element, length = struct.unpack_from("<HHI", data, position)
        value = data[position + 8 : position + 8 + length]
        if group != 0 or len(value) != length or element in seen:
            raise ProtocolViolated("a command set is malformed")
        seen.add(element)
        position += 8 + length
        if element in _UIDS:
            # Latin 1 keeps what is no UID as it came, for the answer that echoes it.
            uids[_UIDS[element]] = value.rstrip(b"\0 ").decode("latin-1")
        elif element in _NUMBERS:
            numbers[_NUMBERS[element]] = _two_bytes(value)
        elif element == _DATASET_TYPE:
            dataset_type = _two_bytes(value)
    if "field" not in numbers or dataset_type is None:
        raise ProtocolViolated("a command set lacks Command Field or Command Data Set Type")
    return Command(**numbers, **uids, has_dataset=dataset_type != _NO_DATASET)  # type: ignore[arg-type]  # the names are the tables' above


def _two_bytes(value: bytes) -> int:
    if len(value) != 2:  # noqa: PLR2004 -- VR US
        raise ProtocolViolated("a number of a command set is not two bytes")
    return int.from_bytes(value, "little")


def _number(element: int, value: int | None) -> bytes:
    return b"" if value is None else struct.pack("<HHIH", 0, element, 2, value)


def _uid(element: int, value: str) -> bytes:
    if not value:
        return b""
    encoded = value.encode("latin-1")
    encoded += b"\0" * (len(encoded) % 2)
    return struct.pack("<HHI", 0, element, len(encoded)) + encoded
