"""Video: one stream for all frames (PS3.5 A.4.5 to A.4.7), and what it may carry besides pictures.

An encoder, or a person, can put text among the pictures: user data of MPEG-2 (ISO/IEC 13818-2,
6.2.2.2.2), messages of H.264 and H.265 (ISO/IEC 14496-10 and 23008-2, 7.3.2.3 and D.1: registered
or unregistered user data), boxes of an MP4 file (ISO/IEC 14496-12). It is neither read nor taken
out here: who lets video pass must have looked at it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_SYNTAX = re.compile(r"1\.2\.840\.10008\.1\.2\.(4\.10[0-8](\.1)?|7\.\d)")
_MPEG_2_USER_DATA = b"\0\0\x01\xb2"
_MP4_BOXES = re.compile(rb"udta|uuid|meta")
#: The start of a NAL unit of messages: type 6 of H.264, types 39 and 40 of H.265.
_MESSAGES = re.compile(rb"\0\0\x01(?:[\x06\x26\x46\x66]|[\x4e\x50][\x01-\x07])")
_NEXT = re.compile(rb"\0\0[\0\x01]")
_USER_DATA = {4, 5}
_MORE = 0xFF
_END = 0x80


def is_video(syntax: str) -> bool:
    """Tell whether a transfer syntax is a video's."""
    return _SYNTAX.fullmatch(syntax) is not None


def has_user_data(stream: bytes) -> bool:
    """Tell whether a stream carries data that is neither picture nor sound."""
    if _MPEG_2_USER_DATA in stream or _MP4_BOXES.search(stream):
        return True
    return any(
        not _USER_DATA.isdisjoint(_payload_types(stream, found.end()))
        for found in _MESSAGES.finditer(stream)
    )


def _payload_types(stream: bytes, begin: int) -> Iterator[int]:
    """List the types of the messages of one NAL unit; one that breaks off ends it."""
    following = _NEXT.search(stream, begin)
    unit = stream[begin : following.start() if following else None]
    unit = unit.replace(b"\0\0\x03", b"\0\0")
    at = 0
    while at < len(unit) and unit[at] != _END:
        payload_type, at = _number(unit, at)
        size, at = _number(unit, at)
        yield payload_type
        at += size


def _number(unit: bytes, at: int) -> tuple[int, int]:
    """Read a number that is written as a sum of bytes, the last below 255."""
    total = 0
    while unit[at : at + 1] == bytes([_MORE]):
        total, at = total + _MORE, at + 1
    return total + (unit[at] if at < len(unit) else 0), at + 1
