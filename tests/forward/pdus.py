"""PDUs and command sets byte by byte, for peers of the tests; nothing of it is from node."""

from __future__ import annotations

import struct
from collections.abc import Iterator

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLICIT = "1.2.840.10008.1.2"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, P_DATA_TF = 1, 2, 3, 4
A_RELEASE_RQ, A_RELEASE_RP, A_ABORT = 5, 6, 7
C_STORE_RQ, C_ECHO_RQ, N_ACTION_RQ = 0x0001, 0x0030, 0x0130


def pdu(kind: int, body: bytes) -> bytes:
    """Give a PDU (PS3.8 9.3.1)."""
    return struct.pack(">BxI", kind, len(body)) + body


def item(kind: int, value: bytes) -> bytes:
    """Give an item of an association PDU (PS3.8 9.3.2)."""
    return struct.pack(">BxH", kind, len(value)) + value


def items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give the items of an association PDU."""
    place = 0
    while place + 4 <= len(data):
        kind, length = struct.unpack_from(">BxH", data, place)
        yield kind, data[place + 4 : place + 4 + length]
        place += 4 + length


def pdvs(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Give control header and data of each value in a P-DATA-TF (PS3.8 9.3.5)."""
    place = 0
    while place < len(body):
        length, _, control = struct.unpack_from(">IBB", body, place)
        yield control, body[place + 6 : place + 4 + length]
        place += 4 + length


def command_fields(data: bytes) -> dict[int, bytes]:
    """Give a command set's elements (PS3.7 6.3)."""
    fields, place = {}, 0
    while place < len(data):
        _, element, length = struct.unpack_from("<HHI", data, place)
        fields[element] = data[place + 8 : place + 8 + length]
        place += 8 + length
    return fields


def command(context: int, fields: list[tuple[int, bytes]]) -> bytes:
    """Give a command set in a P-DATA-TF."""
    encoded = b"".join(
        struct.pack("<HHI", 0, element, len(value)) + value for element, value in fields
    )
    encoded = struct.pack("<HHII", 0, 0, 4, len(encoded)) + encoded
    return pdu(4, struct.pack(">IBB", len(encoded) + 2, context, 3) + encoded)


def us(fields: dict[int, bytes], element: int) -> int:
    """Give a number of a command set; 0 if it is absent."""
    return int(struct.unpack("<H", fields.get(element, b"\0\0"))[0])


def even(uid: str) -> bytes:
    """Give a UID padded to even length."""
    encoded = uid.encode()
    return encoded + b"\0" * (len(encoded) % 2)
