"""Data sets, read strictly: every byte belongs to a data element, an item or a fragment.

The validator's own walk over PS3.5 7.1 (data elements), 7.5 (sequences) and A.4 (encapsulation); it
shares no code with the engine. What it does not know it refuses; what is readable but not as PS3.5
wants it is noted in `oddities`. A public attribute that came as UN gets its VR from the dictionary
(PS3.5 6.2.2).
"""

from __future__ import annotations

from functools import cache

from pydicom.datadict import dictionary_VR

from node.validate.bulk import read_bulk, read_fragments
from node.validate.coding import HEADER, IMPLICIT, ITEM, ITEM_END, SEQUENCE_END, UNDEFINED, Coding
from node.validate.elements import BULK, PIXEL_DATA, VRS, Element, Item, Unreadable
from node.validate.file import Buffer

MAX_DEPTH = 64
_CREATORS = range(0x10, 0x100)
_ITEM_TAG = b"\xfe\xff\x00\xe0"
_MAYBE_ITEMS = frozenset({"SQ", "UN"})
_DELIMITER_GROUP = 0xFFFE
#: So many headers of elements are remembered.
_REMEMBERED = 1 << 14
#: Sequences of at most so many bytes are: codes and references, not the frames of an image.
_SHORT = 1 << 10
#: So many of them; then all are forgotten, and remembered anew.
_SEQUENCES = 1 << 11
_new = tuple.__new__  # a NamedTuple's own costs double, and there is one for each element


def read_elements(  # noqa: C901, PLR0912, PLR0915 -- one loop: a call per element costs double
    data: bytes, pos: int, end: int, coding: Coding, depth: int, oddities: list[str],
    delimited: bool = False, whole: Buffer = b"",
) -> tuple[Item, int]:  # fmt: skip
    """Read elements up to `end`, or to the item's delimiter; give them and where they end.

    The pixel data of a data set may go beyond `end`, in `whole`, of which `data` is the beginning.
    """
    if depth > MAX_DEPTH:
        raise Unreadable(f"sequences lie deeper than {MAX_DEPTH} levels")
    by_tag: dict[int, Element] = {}
    repeated: list[Element] = []
    item = Item(by_tag, repeated)
    last = -1
    explicit, unpack, unpack_long = coding.explicit, coding.short.unpack_from, coding.long
    plain = coding.plain
    while pos < end:
        known = plain.get(data[pos : pos + 8])
        if known is not None:
            tag, vr, length = known
            start = pos + 8
            if tag > last and start + length <= end:
                pos = start + length
                by_tag[tag] = _new(Element, (tag, vr, data[start:pos], start, length, None, None))
                last = tag
                continue
        if end - pos < HEADER:
            if not depth and not any(data[pos:end]):
                return item, pos
            raise Unreadable(f"half an element at offset {pos}")
        begin = pos
        group, number, letters, length = unpack(data, pos)
        tag = group << 16 | number
        if group == _DELIMITER_GROUP:
            if tag != ITEM_END or not delimited:
                raise Unreadable(f"a delimiter out of place at offset {pos}")
            if data[pos + 4 : pos + 8] != b"\0\0\0\0":
                oddities.append(f"a delimiter with a length at offset {pos}")
            return item, pos + 8
        if explicit:
            vr, long = VRS.get(letters, ("", False))
            if not vr:
                raise Unreadable(f"unknown VR at offset {pos}")
            start = pos + 8
            if long:
                if length:
                    oddities.append(f"reserved bytes are not zero at offset {pos}")
                start += 4
                if start > end:
                    raise Unreadable(f"half an element at offset {pos}")
                (length,) = unpack_long.unpack_from(data, pos + 8)
        else:
            (length,) = unpack_long.unpack_from(data, pos + 4)
            start = pos + 8
            vr = _implicit_vr(tag)
        is_bulk = not depth and tag in BULK and vr not in _MAYBE_ITEMS
        limit = max(end, len(whole)) if is_bulk else end
        if length != UNDEFINED and start + length > limit:
            raise Unreadable(f"a value goes past its end at offset {pos}")
        if is_bulk:
            element = read_bulk(whole or data, start, length, limit, tag, vr, coding, oddities)
            pos = start + element.length
        elif (
            vr == "SQ"
            or length == UNDEFINED
            or (vr == "UN" and (explicit or data[start : start + 4] == _ITEM_TAG))
        ):
            element = _read_nested(data, start, length, end, tag, vr, coding, depth, oddities)
            pos = element.start + element.length
        else:
            pos = start + length
            element = Element(tag, vr, data[start:pos], start, length)
            if start - HEADER == begin and not length & 1 and tag not in BULK and vr != "UN":
                _remember(plain, data[begin:start], tag, vr, length)
        if length & 1 and length != UNDEFINED:
            oddities.append(f"odd length at offset {start}")
        if tag > last:
            by_tag[tag] = element
            last = tag
        else:
            oddities.append(f"tags not ascending at offset {start}")
            if tag in by_tag:
                repeated.append(element)
            else:
                by_tag[tag] = element
    if delimited:
        raise Unreadable("an item is not ended")
    return item, pos


def _remember(
    plain: dict[bytes, tuple[int, str, int]], header: bytes, tag: int, vr: str, length: int
) -> None:
    if len(plain) < _REMEMBERED:
        plain[header] = tag, vr, length


def _read_nested(
    data: bytes, start: int, length: int, end: int, tag: int, vr: str, coding: Coding,
    depth: int, oddities: list[str],
) -> Element:  # fmt: skip
    """Read a sequence, encapsulated pixel data, or a UN that may be a sequence (PS3.5 6.2.2)."""
    if tag == PIXEL_DATA and length == UNDEFINED:
        fragments, pos = read_fragments(data, start, end, coding, oddities)
        return Element(tag, vr, b"", start, pos - start, None, fragments)
    if vr == "SQ" or (vr == "UN" and length == UNDEFINED):
        if 0 < length <= _SHORT:
            items, pos = _read_short(data, start, length, coding, depth, oddities)
        else:
            inner = coding if vr == "SQ" else IMPLICIT
            items, pos = _read_items(data, start, length, end, inner, depth, oddities)
        value = b"" if depth else data[start:pos]
        return Element(tag, vr, value, start, pos - start, items)
    if length == UNDEFINED:
        raise Unreadable(f"undefined length of a {vr} at offset {start}")
    if _looks_like_items(data, start, length) or (length and _implicit_vr(tag) == "SQ"):
        for inner in (IMPLICIT, coding):
            try:
                items, _ = _read_items(data, start, length, end, inner, depth, [])
            except Unreadable:
                continue
            return Element(tag, vr, data[start : start + length], start, length, items)
    known = _implicit_vr(tag)
    return Element(tag, known if known != "SQ" else vr, data[start : start + length], start, length)


def _looks_like_items(data: bytes, start: int, length: int) -> bool:
    return length >= HEADER and data[start : start + 4] == _ITEM_TAG


def _read_short(
    data: bytes, start: int, length: int, coding: Coding, depth: int, oddities: list[str]
) -> tuple[tuple[Item, ...], int]:
    """Read the items of a sequence, or give those of one that was read before.

    That one had the same bytes at the same offset of its file: the instances of a series share
    their codes and references. One that was not as PS3.5 wants it is noted in every file anew.
    """
    end = start + length
    place = data[start:end], start, depth
    items = coding.sequences.get(place)
    if items is None:
        noted: list[str] = []
        items, _ = _read_items(data, start, length, end, coding, depth, noted)
        oddities += noted
        if not noted:
            if len(coding.sequences) >= _SEQUENCES:
                coding.sequences.clear()
            coding.sequences[place] = items
    return items, end


def _read_items(
    data: bytes, pos: int, length: int, end: int, coding: Coding, depth: int, oddities: list[str]
) -> tuple[tuple[Item, ...], int]:
    """Read the items of a sequence of defined or undefined length; give them and its end."""
    items: list[Item] = []
    undefined = length == UNDEFINED
    stop = end if undefined else pos + length
    while undefined or pos < stop:
        if stop - pos < HEADER:
            raise Unreadable(f"a sequence is not ended at offset {pos}")
        group, number, item_length = coding.implicit.unpack_from(data, pos)
        tag = group << 16 | number
        pos += 8
        if tag == SEQUENCE_END and undefined:
            if item_length:
                oddities.append(f"a delimiter with a length at offset {pos - 8}")
            return tuple(items), pos
        if tag != ITEM:
            raise Unreadable(f"something other than an item in a sequence at offset {pos - 8}")
        delimited = item_length == UNDEFINED
        item_end = stop if delimited else pos + item_length
        if item_end > stop:
            raise Unreadable(f"an item goes past its end at offset {pos - 8}")
        item, pos = read_elements(data, pos, item_end, coding, depth + 1, oddities, delimited)
        items.append(item)
    return tuple(items), pos


@cache
def _implicit_vr(tag: int) -> str:
    """Give the VR that PS3.6 has for a tag; UN if it has none (PS3.5 A.1, 7.8.1)."""
    if tag & 0xFFFF == 0:
        return "UL"
    if tag >> 16 & 1:
        return "LO" if tag & 0xFFFF in _CREATORS else "UN"
    try:
        return dictionary_VR(tag)[:2]
    except KeyError:
        return "UN"
