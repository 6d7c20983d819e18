"""What the first bytes of a codestream tell: whether it lost something, and who wrote it."""

from __future__ import annotations

from collections.abc import Iterator

_SCAN, _STYLE, _COMMENT, _TILE = 0xFFDA, 0xFF52, 0xFF64, 0xFF90
_IRREVERSIBLE = 0


def loses(stream: bytes) -> bool:
    """Tell whether a JPEG-LS or JPEG 2000 codestream was compressed with loss; unknown is a yes.

    JPEG-LS says NEAR in its scan header (ISO 14495-1 C.2.3), JPEG 2000 its wavelet in COD
    (ISO 15444-1 A.6.1): the 9-7 transform cannot be undone.
    """
    for marker, start, end in _segments(stream):
        if marker == _SCAN:
            return stream[end - 3 : end - 2] != b"\0"
        if marker == _STYLE:
            return stream[start + 13 : start + 14] == bytes([_IRREVERSIBLE])
    return True


def without_comments(stream: bytes) -> bytes:
    """Give a JPEG 2000 codestream without the remarks that its encoder left (ISO 15444-1 A.9.2)."""
    if stream[:2] != b"\xff\x4f":
        return stream
    pieces, done = [stream[:2]], 2
    for marker, start, end in _segments(stream):
        if marker != _COMMENT:
            pieces.append(stream[start:end])
        done = end
    return b"".join((*pieces, stream[done:]))


def _segments(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """List the header's segments: marker, start, end; a scan's header is the last."""
    at = 2
    while at + 4 <= len(stream):
        marker, length = (int.from_bytes(stream[n : n + 2], "big") for n in (at, at + 2))
        if marker == _TILE or marker >> 8 != 0xFF:  # noqa: PLR2004 -- every marker begins so
            return
        yield marker, at, at + 2 + length
        if marker == _SCAN:
            return
        at += 2 + length
