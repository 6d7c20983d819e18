"""Compressed pixel data without its talk: comment and application segments found and left out.

JPEG (ISO 10918-1 B.1.1.3), JPEG-LS (ISO 14495-1) and JPEG 2000 with HTJ2K (ISO 15444-1 A.1) let a
codestream carry text. `strip` gives the codestream without it, so that two can be compared, and
`remarks` says what a codestream still carries.
"""

from __future__ import annotations

import re
from struct import unpack_from

JPEG_START, J2K_START = b"\xff\xd8", b"\xff\x4f"
_COMMENT, _SCAN, _END, _START_OF_IMAGE = 0xFE, 0xDA, 0xD9, 0xD8
_APPLICATION = range(0xE0, 0xF0)
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
#: In scan data 0xFF is followed by 0x00, a restart marker or (JPEG-LS) a byte below 0x80.
_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
#: JFIF without a thumbnail, Adobe's and JPEG-LS's (HP) colour transforms: they say how to decode.
_TECHNICAL = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        rb"\xff\xe0\x00\x10JFIF\0.{7}\0\0", rb"\xff\xee\x00\x0eAdobe.{7}",
        rb"\xff\xe8\x00\x07mrfx[\0-\x03]",
    )
)  # fmt: skip
_J2K_TILE, _J2K_DATA, _J2K_END, _J2K_COMMENT = 0xFF90, 0xFF93, 0xFFD9, 0xFF64


def strip(stream: bytes) -> bytes:
    """Give a codestream without comments, application segments and what follows its end."""
    if stream.startswith(JPEG_START):
        return b"".join(segment for marker, segment in _jpeg(stream) if not _talks(marker))
    if stream.startswith(J2K_START):
        return b"".join(segment for marker, segment in _j2k(stream) if marker != _J2K_COMMENT)
    return stream


def remarks(stream: bytes) -> str:
    """Say what a codestream carries beyond the picture; empty if nothing."""
    if stream.startswith(JPEG_START):
        segments = _jpeg(stream)
        if any(_talks(marker) and not _is_technical(segment) for marker, segment in segments):
            return "a comment or application segment"
        end = sum(len(segment) for _, segment in segments)
    elif stream.startswith(J2K_START):
        segments = _j2k(stream)
        if any(marker == _J2K_COMMENT for marker, _ in segments):
            return "a comment segment"
        end = sum(len(segment) for _, segment in segments)
    else:
        return ""
    return "bytes after its end" if stream[end:].strip(b"\0\xff") else ""


def _talks(marker: int) -> bool:
    return marker == _COMMENT or marker in _APPLICATION


def _is_technical(segment: bytes) -> bool:
    """Tell whether a segment only says how to decode: JFIF, Adobe's and HP's colour transforms."""
    return any(pattern.fullmatch(segment) for pattern in _TECHNICAL)


def _jpeg(stream: bytes) -> list[tuple[int, bytes]]:
    """Split a JPEG or JPEG-LS codestream into its segments, scan data with its SOS."""
    segments = [(_START_OF_IMAGE, stream[:2])]
    pos = 2
    while pos + 2 <= len(stream):
        if stream[pos] != 0xFF:  # noqa: PLR2004 -- every marker begins so
            break
        marker = stream[pos + 1]
        if marker == 0xFF:  # noqa: PLR2004 -- a fill byte
            pos += 1
            continue
        if marker == _END:
            segments.append((marker, stream[pos : pos + 2]))
            break
        end = pos + 2 if marker in _NO_LENGTH else pos + 2 + _length(stream, pos + 2)
        if marker == _SCAN:
            following = _MARKER.search(stream, end)
            end = following.start() if following else len(stream)
        segments.append((marker, stream[pos:end]))
        pos = end
    return segments


def _j2k(stream: bytes) -> list[tuple[int, bytes]]:
    """Split a JPEG 2000 codestream into header segments and, per tile-part, its parts."""
    segments = [(0xFF4F, stream[:2])]
    pos, tile_end = 2, 0
    while pos + 4 <= len(stream):
        (marker,) = unpack_from(">H", stream, pos)
        if marker == _J2K_END:
            break
        if marker == _J2K_DATA:
            end = tile_end or max(stream.rfind(b"\xff\xd9"), pos + 2)
            segments.append((marker, stream[pos:end]))
            pos = end
            continue
        end = pos + 2 + _length(stream, pos + 2)
        if marker == _J2K_TILE:
            (length,) = unpack_from(">L", stream, pos + 6)
            tile_end = pos + length if length else 0
        if end <= pos or end > len(stream):
            break
        segments.append((marker, stream[pos:end]))
        pos = end
    if stream[pos : pos + 2] == b"\xff\xd9":
        segments.append((_J2K_END, stream[pos : pos + 2]))
    return segments


def _length(stream: bytes, pos: int) -> int:
    return int.from_bytes(stream[pos : pos + 2], "big")
