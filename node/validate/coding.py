"""How data elements are coded (PS3.5 A.1 to A.3), and the tags that structure them (PS3.5 7.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

from node.validate.elements import Item

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
HEADER = 8  # bytes of an element's or item's header, the long form's length apart


@dataclass(frozen=True, slots=True)
class Coding:
    """One way to code them."""

    explicit: bool
    short: Struct  # group, element, VR, length of two bytes
    implicit: Struct  # group, element, length of four bytes
    long: Struct  # a length of four bytes
    #: Headers met before of elements that are neither nested nor bulk: tag, VR and length.
    plain: dict[bytes, tuple[int, str, int]] = field(default_factory=dict)
    #: Items of short sequences that were met before, without fault: by the sequence's bytes, its
    #: offset and its depth. Files share them, so nobody may change an Item.
    sequences: dict[tuple[bytes, int, int], tuple[Item, ...]] = field(default_factory=dict)


def _coding(order: str, *, explicit: bool) -> Coding:
    return Coding(explicit, Struct(f"{order}HH2sH"), Struct(f"{order}HHL"), Struct(f"{order}L"))


EXPLICIT, IMPLICIT = _coding("<", explicit=True), _coding("<", explicit=False)
BIG_ENDIAN = _coding(">", explicit=True)
