"""Elements as they lie in a buffer: where each begins, where its value lies, where it ends.

An element is a plain tuple `(tag, key, start, value, end, items)`: `key` is the element's first
bytes as they stand in the file (tag and VR, 6 bytes; in implicit VR the tag alone, 4 bytes), so
that a decision is one dictionary look-up; `start`, `value` and `end` are offsets in the buffer
(`end` includes the delimiter of an undefined length). `items` is None unless the length was
undefined: then the items had to be walked to find the end.

Tuples and not objects: a CT has 200 of them, and the whole file is due in under a millisecond.
Everything here is little endian; `normalise` sees to that.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError  # noqa: N812 -- it is a class
from typing import Any

from node.deid.outcome import Quarantined

Element = tuple[int, bytes, int, int, int, Any]
Items = list[list[Element]]

UNDEFINED = 0xFFFFFFFF
#: Caps against hostile files; real ones stay below a tenth of each.
MOST_ELEMENTS = 65_536  # of one data set or item
MOST_ITEMS = 1_000_000  # of one sequence
DEEPEST = 32

ITEM = b"\xfe\xff\x00\xe0"
_ITEM_END = b"\xfe\xff\x0d\xe0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0"
PIXEL_DATA = 0x7FE00010
#: Float, double float and integer pixel data: the last element of a data set that has one.
BULK = frozenset({0x7FE00008, 0x7FE00009, PIXEL_DATA})
_PIXEL_DATA_KEY = b"\xe0\x7f\x10\x00"

_U32 = Struct("<I").unpack_from

#: VRs with a 16-bit length, and with two reserved bytes and a 32-bit one (PS3.5 7.1.2).
SHORT_VRS = frozenset(
    "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()  # noqa: SIM905 -- a table
)
LONG_VRS = frozenset("OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # noqa: SIM905 -- a table


class Runaway(Exception):  # noqa: N818 -- the caller fetches more, or gives up
    """The buffer ends before the element does."""


class Disorder(Exception):  # noqa: N818 -- the caller sorts, or gives up
    """Tags do not ascend."""


class Encapsulated(Exception):  # noqa: N818 -- the caller walks the fragments in the file
    """Pixel Data of undefined length begins here; its fragments may be far larger than a buffer."""


class _Shapes(dict[bytes, tuple[int, int]]):
    """An element's key to its tag and where its value begins: 8, 12, or 0 for an item's end."""

    def __missing__(self, key: bytes) -> tuple[int, int]:
        if key[:4] == _ITEM_END:
            shape = tag_of(key), 0
        elif len(key) == 4 or key[4:].decode("latin-1") in SHORT_VRS:  # noqa: PLR2004 -- a tag
            shape = tag_of(key), 8
        elif key[4:].decode("latin-1") in LONG_VRS:
            shape = tag_of(key), 12
        else:
            raise Quarantined("an element has a value representation that DICOM does not know")
        if len(self) < 50_000:  # noqa: PLR2004 -- a hostile sender must not fill our memory
            self[key] = shape
        return shape


#: How the first eight bytes of an element are read: its key, and a length or (12) what is none.
Layout = tuple[Callable[[bytes, int], Any], _Shapes]
EXPLICIT: Layout = Struct("<6sH").unpack_from, _Shapes()
IMPLICIT: Layout = Struct("<4sI").unpack_from, _Shapes()


def tag_of(key: bytes) -> int:
    """Give the tag 0xGGGGEEEE of an element's first bytes."""
    return key[1] << 24 | key[0] << 16 | key[3] << 8 | key[2]


def tag_bytes(tag: int) -> bytes:
    """Give the four bytes of a tag 0xGGGGEEEE."""
    return bytes((tag >> 16 & 0xFF, tag >> 24, tag & 0xFF, tag >> 8 & 0xFF))


def walk(
    layout: Layout,
    buffer: bytes,
    position: int,
    end: int,
    limit: int,
    elements: list[Element],
    depth: int = 0,
    last: int = -1,
) -> int:
    """Append the elements that begin before `end`; none may pass `limit`.

    `last` is the tag before the first of them. Returns where it stopped: at `end` or beyond, or at
    an item's delimiter.
    """
    unpack, shapes = layout
    for _ in range(MOST_ELEMENTS):
        if position >= end:
            return position
        try:
            key, length = unpack(buffer, position)
            tag, header = shapes[key]
            if header != 8:  # noqa: PLR2004 -- the commonest
                if not header:
                    return position
                (length,) = _U32(buffer, position + 8)
        except StructError:
            raise Runaway from None
        if tag <= last:
            raise Disorder
        items = None
        value = position + header
        if length == UNDEFINED:
            items, after = _walk_undefined(buffer, key, value, limit, depth)
        else:
            after = value + length
        if after > limit:
            _run_away(depth)
        elements.append((tag, key, position, value, after, items))
        last = tag
        position = after
    raise Quarantined("a data set has more elements than any real one")


def walk_items(  # noqa: C901 -- one branch per thing that may be wrong with an item
    buffer: bytes, position: int, end: int, depth: int, *, implicit: bool
) -> tuple[Items, int]:
    """Give the items of a sequence whose value begins at `position`, and where it ends.

    The sequence ends at `end`, or at its delimiter where that comes first (undefined length).
    """
    if depth >= DEEPEST:
        raise Quarantined("sequences are nested deeper than in any real data set")
    layout = IMPLICIT if implicit else EXPLICIT
    items: Items = []
    for _ in range(MOST_ITEMS):
        if position == end:
            return items, position
        tag = buffer[position : position + 4]
        if position + 8 > end:
            raise Runaway
        (length,) = _U32(buffer, position + 4)
        position += 8
        if tag == SEQUENCE_END:
            return items, position
        if tag != ITEM:
            raise Quarantined("a sequence holds something else than items")
        elements: list[Element] = []
        after = end if length == UNDEFINED else position + length
        if after > end:
            raise Runaway
        position = walk(layout, buffer, position, after, after, elements, depth + 1)
        if length == UNDEFINED:
            if buffer[position : position + 4] != _ITEM_END or position + 8 > end:
                raise Runaway
            position += 8
        elif position != after:
            raise Quarantined("an item ends before its length does")
        items.append(elements)
    raise Quarantined("a sequence has more items than any real one")


def _run_away(depth: int) -> None:
    if depth == 0:
        raise Quarantined("the file ends within an element")
    raise Runaway


def _walk_undefined(
    buffer: bytes, key: bytes, value: int, limit: int, depth: int
) -> tuple[Items, int]:
    """Find the end of an element of undefined length by walking its items."""
    end = min(limit, len(buffer))
    vr = key[4:]
    if key[:4] == _PIXEL_DATA_KEY or vr in (b"OB", b"OW"):
        if depth == 0 and key[:4] == _PIXEL_DATA_KEY:
            raise Encapsulated
        return [], _skip_fragments(buffer, value, end)
    if vr not in (b"SQ", b"UN", b""):
        raise Quarantined("an element that is no sequence has an undefined length")
    # What is UN has been a sequence in implicit VR little endian once (PS3.5 6.2.2).
    items, after = walk_items(buffer, value, end, depth, implicit=vr != b"SQ")
    if buffer[after - 8 : after - 4] != SEQUENCE_END:
        raise Runaway
    return items, after


def _skip_fragments(buffer: bytes, position: int, end: int) -> int:
    while position + 8 <= end:
        tag = buffer[position : position + 4]
        (length,) = _U32(buffer, position + 4)
        position += 8
        if tag == SEQUENCE_END:
            return position
        if tag != ITEM:
            raise Quarantined("encapsulated pixel data hold something else than fragments")
        position += length
    raise Runaway
