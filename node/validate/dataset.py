"""Data sets, read strictly: every byte belongs to a data element, an item or a fragment.

The validator's own walk over PS3.5 7.1 (data elements), 7.5 (sequences) and A.4 (encapsulation); it
shares no code with the engine. What it does not know it refuses; what is readable but not as PS3.5
wants it is noted in `oddities`. A public attribute that came as UN gets its VR from the dictionary
(PS3.5 6.2.2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from struct import Struct

from pydicom.datadict import dictionary_VR

from node.validate.elements import BULK, PIXEL_DATA, VRS, Buffer, Element, Item, Unreadable

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
MAX_DEPTH = 64
_CREATORS = range(0x10, 0x100)
_HEADER = 8  # bytes of an element's or item's header, the long form's length apart
_ITEM_TAG = b"\xfe\xff\x00\xe0"
_DELIMITER_GROUP = 0xFFFE
_REMEMBERED = 1 << 14
_new = tuple.__new__  # a NamedTuple's own costs double, and there is one for each element


@dataclass(frozen=True, slots=True)
class Coding:
    """How elements are coded: PS3.5 A.1 to A.3."""

    explicit: bool
    short: Struct  # group, element, VR, length of two bytes
    implicit: Struct  # group, element, length of four bytes
    long: Struct  # a length of four bytes
    #: Headers met before of elements that are neither nested nor bulk: tag, VR and length.
    plain: dict[bytes, tuple[int, str, int]] = field(default_factory=dict)


def _coding(order: str, *, explicit: bool) -> Coding:
    return Coding(explicit, Struct(f"{order}HH2sH"), Struct(f"{order}HHL"), Struct(f"{order}L"))


EXPLICIT, IMPLICIT = _coding("<", explicit=True), _coding("<", explicit=False)
BIG_ENDIAN = _coding(">", explicit=True)


def read_elements(  # noqa: C901, PLR0912, PLR0915 -- one loop: a call per element costs double
    data: Buffer, pos: int, end: int, coding: Coding, depth: int, oddities: list[str],
    delimited: bool = False,
) -> tuple[Item, int]:  # fmt: skip
    """Read elements up to `end`, or to the item's delimiter; give them and where they end."""
    if depth > MAX_DEPTH:
        raise Unreadable(f"sequences lie deeper than {MAX_DEPTH} levels")
    item = Item()
    by_tag = item.by_tag
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
        if end - pos < _HEADER:
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
        if length != UNDEFINED and start + length > end:
            raise Unreadable(f"a value goes past its end at offset {pos}")
        if (
            vr == "SQ"
            or length == UNDEFINED
            or (vr == "UN" and (explicit or data[start : start + 4] == _ITEM_TAG))
        ):
            element = _read_nested(data, start, length, end, tag, vr, coding, depth, oddities)
            pos = element.start + element.length
        else:
            pos = start + length
            value = b"" if tag in BULK and not depth else data[start:pos]
            element = Element(tag, vr, value, start, length)
            if start - _HEADER == begin and not length & 1 and tag not in BULK and vr != "UN":
                _remember(plain, data[begin:start], tag, vr, length)
        if length & 1 and length != UNDEFINED:
            oddities.append(f"odd length at offset {start}")
        if tag > last:
            by_tag[tag] = element
            last = tag
        else:
            oddities.append(f"tags not ascending at offset {start}")
            _add_out_of_order(item, element)
    if delimited:
        raise Unreadable("an item is not ended")
    return item, pos


def _remember(
    plain: dict[bytes, tuple[int, str, int]], header: bytes, tag: int, vr: str, length: int
) -> None:
    if len(plain) < _REMEMBERED:
        plain[header] = tag, vr, length


def _add_out_of_order(item: Item, element: Element) -> None:
    if element.tag in item.by_tag:
        item.repeated.append(element)
    else:
        item.by_tag[element.tag] = element


def _read_nested(
    data: Buffer, start: int, length: int, end: int, tag: int, vr: str, coding: Coding,
    depth: int, oddities: list[str],
) -> Element:  # fmt: skip
    """Read a sequence, encapsulated pixel data, or a UN that may be a sequence (PS3.5 6.2.2)."""
    if tag == PIXEL_DATA and length == UNDEFINED:
        fragments, pos = _read_fragments(data, start, end, coding, oddities)
        return Element(tag, vr, b"", start, pos - start, None, fragments)
    if vr == "SQ" or (vr == "UN" and length == UNDEFINED):
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


def _looks_like_items(data: Buffer, start: int, length: int) -> bool:
    return length >= _HEADER and data[start : start + 4] == _ITEM_TAG


def _read_items(
    data: Buffer, pos: int, length: int, end: int, coding: Coding, depth: int, oddities: list[str]
) -> tuple[tuple[Item, ...], int]:
    """Read the items of a sequence of defined or undefined length; give them and its end."""
    items: list[Item] = []
    undefined = length == UNDEFINED
    stop = end if undefined else pos + length
    while undefined or pos < stop:
        if stop - pos < _HEADER:
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


def _read_fragments(
    data: Buffer, pos: int, end: int, coding: Coding, oddities: list[str]
) -> tuple[tuple[tuple[int, int], ...], int]:
    """Find the Basic Offset Table and the fragments (PS3.5 A.4); give them and their end."""
    fragments: list[tuple[int, int]] = []
    while end - pos >= _HEADER:
        group, number, length = coding.implicit.unpack_from(data, pos)
        tag = group << 16 | number
        pos += 8
        if tag == SEQUENCE_END:
            if length:
                oddities.append(f"a delimiter with a length at offset {pos - 8}")
            return tuple(fragments), pos
        if tag != ITEM or length > end - pos:
            raise Unreadable(f"a damaged fragment at offset {pos - 8}")
        if length & 1:
            oddities.append(f"a fragment of odd length at offset {pos}")
        fragments.append((pos, length))
        pos += length
    raise Unreadable("the fragments are not ended")


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
