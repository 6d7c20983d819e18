"""Compressed pixel data without its talk: comment and application segments found and left out.

JPEG (ISO 10918-1 B.1.1.3), JPEG-LS (ISO 14495-1) and JPEG 2000 with HTJ2K (ISO 15444-1 A.1) let a
codestream carry text. `strip` gives the codestream without it, so that two can be compared, and
`remarks` says what a codestream still carries.
"""

from __future__ import annotations

import re
from struct import unpack_from

JPEG_START, J2K_START = b"\xff\xd8", b"\xff\x4f"
_SCAN, _END, _START_OF_IMAGE = 0xDA, 0xD9, 0xD8
#: Segments that a picture is made of (ISO 10918-1 Table B.1, ISO 14495-1 Table C.1): all others go.
_JPEG_PICTURE = frozenset({*range(0xC0, 0xD0), *range(0xD8, 0xDE), 0xF7, 0xF8} - {0xC8})
_J2K_PICTURE = frozenset(
    {0xFF4F, 0xFF50, 0xFF51, 0xFF52, 0xFF53, 0xFF55, 0xFF56, 0xFF57, 0xFF58, 0xFF59, 0xFF5C, 0xFF5D,
     0xFF5E, 0xFF5F, 0xFF60, 0xFF61, 0xFF63, 0xFF90, 0xFF93, 0xFFD9}
)  # fmt: skip
_RLE_HEADER, _RLE_SEGMENTS = 64, 15
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
_J2K_TILE, _J2K_DATA, _J2K_END = 0xFF90, 0xFF93, 0xFFD9


def strip(stream: bytes) -> bytes:
    """Give a codestream without comments, application segments and what follows its end."""
    if stream.startswith(JPEG_START):
        return b"".join(segment for marker, segment in _jpeg(stream) if marker in _JPEG_PICTURE)
    if stream.startswith(J2K_START):
        return b"".join(segment for marker, segment in _j2k(stream) if marker in _J2K_PICTURE)
    return stream


def remarks(stream: bytes) -> str:
    """Say what a codestream carries beyond the picture; empty if nothing."""
    if stream.startswith(JPEG_START):
        segments = _jpeg(stream)
        if any(
            marker not in _JPEG_PICTURE and not _is_technical(segment)
            for marker, segment in segments
        ):
            return "a comment or application segment"
        end = sum(len(segment) for _, segment in segments)
    elif stream.startswith(J2K_START):
        segments = _j2k(stream)
        if any(marker not in _J2K_PICTURE for marker, _ in segments):
            return "a comment segment"
        end = sum(len(segment) for _, segment in segments)
    else:
        return ""
    return "bytes after its end" if stream[end:].strip(b"\0\xff") else ""


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


def rle_segments(frame: bytes, pixels: int) -> list[bytes]:
    """Give an RLE frame's segments, each up to where it has given all its pixels (PS3.5 Annex G).

    Empty if the header cannot be.
    """
    bounds = _rle_bounds(frame)
    return [frame[start : _packbits_end(frame, start, end, pixels)] for start, end in bounds]


def rle_remarks(frame: bytes, pixels: int) -> str:
    """Say what an RLE frame carries beyond its picture of so many pixels (PS3.5 Annex G)."""
    bounds = _rle_bounds(frame)
    if not bounds:
        return "a damaged RLE header"
    for start, end in bounds:
        if frame[_packbits_end(frame, start, end, pixels) : end].strip(b"\0\x80"):
            return "bytes behind an RLE segment"
    return ""


def _rle_bounds(frame: bytes) -> list[tuple[int, int]]:
    """Give where each segment of an RLE frame begins and ends; empty if the header cannot be."""
    count = int.from_bytes(frame[:4], "little")
    offsets = [int.from_bytes(frame[4 * at : 4 * at + 4], "little") for at in range(1, 16)]
    if not 0 < count <= _RLE_SEGMENTS or offsets[0] != _RLE_HEADER or any(offsets[count:]):
        return []
    bounds = list(zip(offsets[:count], [*offsets[1:count], len(frame)], strict=True))
    return bounds if all(start < end <= len(frame) for start, end in bounds) else []


def _packbits_end(frame: bytes, at: int, end: int, wanted: int) -> int:
    """Find where a segment has given all its bytes (PS3.5 G.3.1)."""
    while wanted > 0 and at < end:
        control = frame[at]
        if control < 0x80:  # noqa: PLR2004 -- that many and one more follow as they are
            at, wanted = at + control + 2, wanted - control - 1
        elif control > 0x80:  # noqa: PLR2004 -- one byte, repeated
            at, wanted = at + 2, wanted - 257 + control
        else:
            at += 1
    return at
