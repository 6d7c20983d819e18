"""Pixel data as the strict reader sees it: left in the file, with all that lies around it told."""

from __future__ import annotations

from node.validate.coding import HEADER, ITEM, SEQUENCE_END, UNDEFINED, Coding
from node.validate.elements import PIXEL_DATA, Element, Unreadable
from node.validate.file import Buffer


def read_bulk(
    data: Buffer, start: int, length: int, end: int, tag: int, vr: str, coding: Coding,
    oddities: list[str],
) -> Element:  # fmt: skip
    """Give an element without its value; of encapsulated pixel data, where the fragments are."""
    if length != UNDEFINED:
        return Element(tag, vr, b"", start, length)
    if tag != PIXEL_DATA:
        raise Unreadable(f"undefined length of a {vr} at offset {start}")
    fragments, pos = read_fragments(data, start, end, coding, oddities)
    return Element(tag, vr, b"", start, pos - start, None, fragments)


def read_fragments(
    data: Buffer, pos: int, end: int, coding: Coding, oddities: list[str]
) -> tuple[tuple[tuple[int, int], ...], int]:
    """Find the Basic Offset Table and the fragments (PS3.5 A.4); give them and their end."""
    fragments: list[tuple[int, int]] = []
    while end - pos >= HEADER:
        group, number, length = coding.implicit.unpack(data[pos : pos + HEADER])
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
