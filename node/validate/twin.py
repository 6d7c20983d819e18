"""Whether two finished files are the same instance, told in two transfer syntaxes.

Both are outputs, so there is nothing of an original in them. Every attribute must be the same and
so must the decoded pixels; only what a compression changes in the pixels' description may differ.
"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from node.validate import decoded, reader
from node.validate.elements import BULK, Element, Item, Unreadable
from node.validate.file import opened

#: Colour space and planar configuration belong to the compression; offset tables to its fragments.
_OF_THE_SYNTAX = frozenset({0x00280004, 0x00280006, 0x7FE00001, 0x7FE00002})


def are_twins(one: Path, other: Path) -> bool:
    """Tell whether two files differ in nothing but their transfer syntax; if unsure, they do."""
    with opened(one) as ours, opened(other) as theirs:
        try:
            first, second = reader.parse(ours), reader.parse(theirs)
        except Unreadable:
            return False
    if not _are_alike(first.dataset, second.dataset, _OF_THE_SYNTAX | BULK):
        return False
    bulk = [BULK & parsed.dataset.by_tag.keys() for parsed in (first, second)]
    return bulk[0] == bulk[1] and (not bulk[0] or decoded.are_equal(one, other))


def _are_alike(one: Item, other: Item, but: frozenset[int]) -> bool:
    pairs = zip_longest(*(_told(item, but) for item in (one, other)))
    return all(a is not None and b is not None and _is_alike(a, b) for a, b in pairs)


def _told(item: Item, but: frozenset[int]) -> list[Element]:
    return sorted((one for one in item if one.tag not in but), key=lambda one: one.tag)


def _is_alike(one: Element, other: Element) -> bool:
    if one.tag != other.tag or (one.items is None) != (other.items is None):
        return False
    if one.items is None or other.items is None:
        return one.value == other.value
    nothing = frozenset[int]()
    return len(one.items) == len(other.items) and all(
        _are_alike(a, b, nothing) for a, b in zip(one.items, other.items, strict=True)
    )
