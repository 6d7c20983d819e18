"""Private attributes: which of one data set or item stay, and under which creators.

A block's number means nothing: an attribute is known by its creator's name and its last byte
(PS3.5 7.8.1). A creator is written where something of it stays, under the number that it had.
"""

from __future__ import annotations

from node.deid import rebuild
from node.deid.charset import decode_leniently
from node.deid.element import Element
from node.deid.treatment import Treatment

_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0xFF


def survivors(
    treatment: Treatment, plan: rebuild.Plan, elements: list[tuple[bytes, Element]]
) -> dict[int, bytes]:
    """Give the bytes of each private attribute and creator that stays, by tag."""
    staying: dict[int, bytes] = {}
    creators: dict[int, tuple[str, bytes]] = {}
    for buffer, element in elements:
        tag = element[0]
        group, number = tag >> 16, tag & 0xFFFF
        if _FIRST_BLOCK <= number <= _LAST_BLOCK:
            name = decode_leniently(buffer[element[3] : element[4]], treatment.encoding)
            creators[tag] = name.strip(" \0"), buffer[element[2] : element[4]]
            continue
        reserved = group << 16 | number >> 8
        if number >> 8 < _FIRST_BLOCK or reserved not in creators:
            continue
        name, creator = creators[reserved]
        step = plan.private(name, element[1])
        kept = rebuild.apply(step, treatment, plan, buffer, element)
        if kept:
            staying[tag] = kept
            staying[reserved] = creator
    return staying


def stay(treatment: Treatment, _plan: rebuild.Plan, _buffer: bytes, element: Element) -> bytes:
    """Write what `survivors` found of a private attribute."""
    return treatment.privates.get(element[0], b"")
