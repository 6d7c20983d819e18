"""RLE frames (PS3.5 Annex G): the segments of a picture, and nothing between or behind them.

A frame is a header of 64 bytes (how many segments, where each begins) and a PackBits segment per
byte of a pixel, most significant first.
"""

from __future__ import annotations

from struct import Struct

from node.deid.outcome import Quarantined

_HEADER = Struct("<16L")
_MOST_SEGMENTS = 15


def strip(frame: bytes, planes: int, pixels: int) -> bytes:
    """Give a frame of `planes` segments of `pixels` bytes each with nothing else in it.

    The frame itself where there is nothing else. Quarantined if it is not understood.
    """
    if len(frame) < _HEADER.size:
        raise Quarantined("an RLE image is cut short")
    count, *offsets = _HEADER.unpack_from(frame)
    if count != planes or not 0 < count <= _MOST_SEGMENTS:
        raise Quarantined("an RLE image has not the segments that its description asks for")
    starts = offsets[:count]
    if starts[0] != _HEADER.size or sorted(set(starts)) != starts or starts[-1] >= len(frame):
        raise Quarantined("an RLE image has segments out of place")
    ends = [*starts[1:], len(frame)]
    places = list(zip(starts, ends, strict=True))
    told = [_end(frame, start, end, pixels) for start, end in places]
    rests = [frame[at:end] for at, (_, end) in zip(told, places, strict=True)]
    if not any(offsets[count:]) and not any(rest.strip(b"\0\x80") for rest in rests):
        return frame
    segments = [frame[start:at] for at, (start, _) in zip(told, places, strict=True)]
    return _frame([segment + b"\0" * (len(segment) % 2) for segment in segments])


def _frame(segments: list[bytes]) -> bytes:
    offsets = [0] * _MOST_SEGMENTS
    position = _HEADER.size
    for at, segment in enumerate(segments):
        offsets[at] = position
        position += len(segment)
    return _HEADER.pack(len(segments), *offsets) + b"".join(segments)


def _end(frame: bytes, at: int, end: int, wanted: int) -> int:
    """Find where a segment has given `wanted` bytes (PS3.5 G.3.2)."""
    while wanted > 0:
        if at >= end:
            raise Quarantined("an RLE image is cut short")
        control = frame[at]
        if control < 128:  # noqa: PLR2004 -- that many and one more follow as they are
            at += control + 2
            wanted -= control + 1
        elif control > 128:  # noqa: PLR2004 -- one byte, repeated
            at += 2
            wanted -= 257 - control
        else:
            at += 1
    return min(at, end)
