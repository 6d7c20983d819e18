"""What a file is made of, as the strict reader gives it: data elements and items (PS3.5 7.1, 7.5).

Values are as they lie in the file. Pixel data is no value: the element says where it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

PIXEL_DATA = 0x7FE00010
#: Pixel Data and its two float forms: left in the file where they are the image's own.
BULK = frozenset({0x7FE00008, 0x7FE00009, PIXEL_DATA})
#: Set in the tag of every private element: its group is odd (PS3.5 7.8).
PRIVATE = 1 << 16

_SHORT = "AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US"
_LONG = "OB OD OF OL OV OW SQ SV UC UN UR UT UV"
#: VR as written -> (VR, its length has four bytes). PS3.5 Table 7.1-1 and 7.1-2.
VRS = {vr.encode(): (vr, False) for vr in _SHORT.split()} | {
    vr.encode(): (vr, True) for vr in _LONG.split()
}


class Unreadable(Exception):  # noqa: N818 -- a fact about a file, not a failure of ours
    """The file is not what a strict reader can account for; the text holds no value of it."""


class Element(NamedTuple):
    """One data element: its value as bytes, its items, or where its bulk data lies.

    A sequence of the data set itself has its items' bytes as value too; one in an item has not.
    """

    tag: int
    vr: str
    value: bytes
    start: int
    length: int
    items: tuple[Item, ...] | None = None
    #: (start, length) of the Basic Offset Table and of each fragment.
    fragments: tuple[tuple[int, int], ...] | None = None


@dataclass(slots=True)
class Item:
    """A data set or an item of a sequence: elements by tag, and any that repeat a tag.

    Once read it is never changed: another file may have the same one (`coding.Coding`).
    """

    by_tag: Mapping[int, Element] = field(default_factory=dict)
    repeated: Sequence[Element] = ()

    def __iter__(self) -> Iterator[Element]:
        """Give every element, the repeated ones last."""
        if self.repeated:
            return chain(self.by_tag.values(), self.repeated)
        return iter(self.by_tag.values())

    def value(self, tag: int) -> bytes:
        """Give an element's value, empty if it is absent."""
        element = self.by_tag.get(tag)
        return element.value if element else b""
