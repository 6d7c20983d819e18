"""The File Meta Information that we write before a received dataset (PS3.10 7.1)."""

from __future__ import annotations

import struct

from node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_PREAMBLE = b"\0" * 128 + b"DICM"


def file_meta(
    sop_class: str, sop_instance: str, transfer_syntax: str, calling: str, called: str
) -> bytes:
    """Give preamble, prefix and File Meta; the dataset's bytes follow as they came.

    (0002,0017) and (0002,0018) are the AE titles that sent and received the instance.
    """
    group = b"".join(
        (
            struct.pack("<HH2s2xI", 2, 0x0001, b"OB", 2) + b"\0\1",
            _uid(0x0002, sop_class),
            _uid(0x0003, sop_instance),
            _uid(0x0010, transfer_syntax),
            _uid(0x0012, IMPLEMENTATION_CLASS_UID),
            _text(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii"), b" "),
            _text(0x0017, b"AE", calling.encode("ascii"), b" "),
            _text(0x0018, b"AE", called.encode("ascii"), b" "),
        )
    )
    length = struct.pack("<HH2sHI", 2, 0x0000, b"UL", 4, len(group))
    return _PREAMBLE + length + group


def _uid(element: int, value: str) -> bytes:
    return _text(element, b"UI", value.encode("ascii"), b"\0")


def _text(element: int, vr: bytes, value: bytes, padding: bytes) -> bytes:
    value += padding * (len(value) % 2)
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value
