"""A walk over encoded elements, from window to window: no recursion, no dataset, a bound on all.

What is wrong is told in words that quote no value. Encodings: PS3.5 7.1 (elements), 7.5 (items).
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable

_ITEM_GROUP = 0xFFFE
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_LONG_VR = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # PS3.5 7.1.2
_SHORT_VR = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)  # PS3.5 7.1.2
_TAG, _SHORT_HEADER, LONG_HEADER = 4, 8, 12  # PS3.5 7.1.2

WINDOW = 8192
_MAX_ELEMENTS = 100_000
_MAX_VALUE = 4096
#: Of a walk with more steps than this only the last are known.
MOST_STEPS = 2048

#: `read_at(offset, length)` gives at most that many bytes of the source, less only at its end.
ReadAt = Callable[[int, int], bytes]
#: An offset in the source, and a number of bytes.
Place = tuple[int, int]


class ElementWalk:
    """One pass over a run of elements, with a window of the source in memory."""

    def __init__(
        self, read_at: ReadAt, start: int, size: int, endian: str, *, implicit: bool
    ) -> None:
        self.read_at, self.size = read_at, size
        self.base, self.pos, self.data = start, 0, read_at(start, WINDOW)
        #: Group, element, VR and a length of two bytes; of an implicit element only the first two.
        self.header_of = struct.Struct(endian + "HH2sH").unpack_from
        self.u32 = struct.Struct(endian + "I").unpack_from
        #: The bytes that were looked at to find the way.
        self.steps: deque[Place] = deque(maxlen=MOST_STEPS)
        # Undefined lengths that are open: (tag that ends it, encoding outside it).
        self.open: list[tuple[int, bool]] = []
        self.implicit = implicit

    def run(self, wanted: frozenset[int], last: int) -> tuple[dict[int, Place], int, str]:
        """Tell where the wanted values stand, where `last` was passed, and what went wrong."""
        found: dict[int, Place] = {}
        previous, left = 0, _MAX_ELEMENTS
        while left > 0:
            if not self.open and not self.implicit:
                previous, left = self._short_ones(previous, left, found, wanted, last)
            at = self.base + self.pos
            if at >= self.size:
                return found, at, "a sequence does not end" if self.open else ""
            if self.pos + LONG_HEADER > len(self.data):
                self._refill()
            if len(self.data) - self.pos < _SHORT_HEADER:
                return found, at, "the file ends inside an element"
            group, element, vr, length = self.header_of(self.data, self.pos)
            tag = group << 16 | element
            if not self.open and group != _ITEM_GROUP:
                if tag > last:
                    self.steps.append((at, _TAG))
                    return found, at, ""
                if tag <= previous:
                    return found, at, "elements are not in ascending order"
                previous = tag
            fault = self._element(tag, vr, length, found if tag in wanted else None)
            if fault:
                return found, at, fault
            left -= 1
        return found, self.base + self.pos, "there are too many elements before the Study"

    def _short_ones(
        self, previous: int, left: int, found: dict[int, Place], wanted: frozenset[int], last: int
    ) -> tuple[int, int]:
        """Take what most elements are: of a short VR, in order, whole in the window.

        It does with them what `run` does with each, but quicker; the first that is not so, or is
        wrong, is left to `run`. Gives the tag that was the last, and how many may still come.
        """
        data, position, header_of, short = self.data, self.pos, self.header_of, _SHORT_VR
        base, step = self.base, self.steps.append
        end = min(len(data), self.size - self.base)
        last_header = end - _SHORT_HEADER
        while left and position <= last_header:
            group, element, vr, length = header_of(data, position)
            tag = group << 16 | element
            behind = position + _SHORT_HEADER + length
            if vr not in short or behind > end or not previous < tag <= last:
                break
            if tag in wanted:
                if length > _MAX_VALUE:
                    break
                found[tag] = base + position + _SHORT_HEADER, length
            step((base + position, _SHORT_HEADER))
            previous, position, left = tag, behind, left - 1
        self.pos = position
        return previous, left

    def _refill(self) -> None:
        self.base += self.pos
        self.pos = 0
        self.data = self.read_at(self.base, WINDOW)

    def _element(self, tag: int, vr: bytes, length: int, found: dict[int, Place] | None) -> str:
        """Step over one element, noting its value's place if asked; say what is wrong with it."""
        if tag >> 16 == _ITEM_GROUP:
            return self._item(tag, self.u32(self.data, self.pos + 4)[0])
        if vr in _SHORT_VR and not self.implicit:
            self._step(_SHORT_HEADER)
            return self._value(tag, length, found)
        header, implicit_inside = _SHORT_HEADER, self.implicit
        if not self.implicit:
            if vr not in _LONG_VR:
                return "an element has an unknown VR"
            if len(self.data) - self.pos < LONG_HEADER:
                return "the file ends inside an element"
            # PS3.5 6.2.2: what stands in a UN of undefined length is Implicit VR.
            header, implicit_inside = LONG_HEADER, vr == b"UN"
        length = self.u32(self.data, self.pos + header - 4)[0]
        self._step(header)
        if length == _UNDEFINED:
            self.open.append((_SEQUENCE_END, self.implicit))
            self.implicit = implicit_inside
            return ""
        return self._value(tag, length, found)

    def _item(self, tag: int, length: int) -> str:
        """Step over an item's or a delimiter's header; a closed item is stepped over whole."""
        self._step(_SHORT_HEADER)
        if tag == _ITEM:
            if not self.open:
                return "an item stands outside a sequence"
            if length != _UNDEFINED:
                return self._value(tag, length, None)
            self.open.append((_ITEM_END, self.implicit))
            return ""
        if not self.open or self.open[-1][0] != tag:
            return "a delimiter stands where nothing is open"
        _, self.implicit = self.open.pop()
        return ""

    def _step(self, header: int) -> None:
        self.steps.append((self.base + self.pos, header))
        self.pos += header

    def _value(self, tag: int, length: int, found: dict[int, Place] | None) -> str:
        if self.base + self.pos + length > self.size:
            return "a value reaches past the end of the file"
        if found is not None and not self.open:
            if length > _MAX_VALUE:
                return "an identifying value is too long"
            found[tag] = self.base + self.pos, length
        self.pos += length
        return ""
