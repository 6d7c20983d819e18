"""One instance, opened: where its elements lie. Values are read only when somebody asks.

The file is walked through windows; a value that reaches beyond its window (pixel data, a private
blob) is stepped over. Pixel Data are the last thing that is read: what follows them in a data set
is padding or a signature, and never written.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from node.deid import element, normalise, syntax
from node.deid.element import Disorder, Element, Encapsulated, Runaway
from node.deid.meta import FIRST_WINDOW, read_meta
from node.deid.outcome import Quarantined
from node.deid.source import Source

_WINDOW = 65_536
_LARGEST_WINDOW = 256 * 1024 * 1024
_LONGEST_HEADER = 12
#: A value that has to be looked into is held in memory; a kept one is copied, however large.
_LARGEST_VALUE = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stretch:
    """Elements that follow each other, and the window that they lie in.

    `base` is the window's offset in the source; only the last element may reach beyond it.
    """

    base: int
    buffer: bytes
    elements: list[Element]


@dataclass(frozen=True, slots=True)
class Fragments:
    """Encapsulated pixel data: (offset, length) in the source of the table and each fragment."""

    key: bytes
    pieces: list[tuple[int, int]]


@dataclass(slots=True)
class Instance:
    """An opened instance: top-level elements in `stretches`, and in `found` by tag.

    Pixel data are not among the stretches: compressed ones are `fragments`, native ones `bulk`,
    with the offset that the element's own are relative to.
    """

    source: Source
    transfer_syntax_uid: str
    implicit: bool
    stretches: list[Stretch] = field(default_factory=list)
    fragments: Fragments | None = None
    bulk: tuple[int, Element] | None = None
    found: dict[int, tuple[Stretch, Element]] = field(default_factory=dict)

    def value(self, tag: int) -> bytes:
        """Give the value of a top-level element as it is encoded; b"" where it is absent."""
        place = self.found.get(tag)
        if place is None:
            return b""
        stretch, (_, _, _, start, end, _) = place
        if end <= len(stretch.buffer):
            return stretch.buffer[start:end]
        return self.source.read(stretch.base + start, end - start)

    def whole(self, tag: int) -> tuple[bytes, Element]:
        """Give a top-level element and a buffer that holds all of it."""
        stretch, element = self.found[tag]
        return self.in_buffer(stretch, element)

    def in_buffer(self, stretch: Stretch, each: Element) -> tuple[bytes, Element]:
        """Give an element and a buffer with all of it, read anew where its window ends early."""
        tag, key, start, value, end, items = each
        if end <= len(stretch.buffer):
            return stretch.buffer, each
        if end - start > _LARGEST_VALUE:
            raise Quarantined("a value that must be looked into is larger than we hold in memory")
        buffer = self.source.read(stretch.base + start, end - start)
        return buffer, (tag, key, 0, value - start, end - start, items)


@contextmanager
def opened(path: Path) -> Iterator[Instance]:
    """Open an instance for as long as the block runs; Quarantined if it is not understood."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise Quarantined("it is not a file")
        yield _read(Source(facts.st_size, fd=fd))
    finally:
        os.close(fd)


def _read(source: Source) -> Instance:
    transfer_syntax, offset = read_meta(source)
    if transfer_syntax not in syntax.NATIVE and transfer_syntax not in syntax.CODECS:
        raise Quarantined("its transfer syntax is not one that we treat")
    if transfer_syntax == syntax.DEFLATED:
        source, offset = Source(memory=normalise.inflate(source, offset)), 0
        transfer_syntax = syntax.EXPLICIT_LITTLE
    elif transfer_syntax == syntax.BIG_ENDIAN:
        source, offset = Source(memory=normalise.from_big_endian(source, offset)), 0
        transfer_syntax = syntax.EXPLICIT_LITTLE
    instance = Instance(source, transfer_syntax, transfer_syntax == syntax.IMPLICIT_LITTLE)
    try:
        _walk(instance, offset)
    except Disorder:
        instance = Instance(source, transfer_syntax, instance.implicit)
        instance.source = Source(
            memory=normalise.in_order(source, offset, implicit=instance.implicit)
        )
        _walk(instance, 0)
    return instance


def _walk(instance: Instance, position: int) -> None:
    """Walk the top level window by window until Pixel Data or the end of the file."""
    size, last = 0, -1  # the first window is what the File Meta was read from
    while position < instance.source.size and last < element.PIXEL_DATA:
        stretch, stopped, encapsulated = _walk_window(instance, position, size, last)
        if encapsulated:
            key = stretch.buffer[stopped : stopped + 6]
            instance.fragments = _fragments(instance.source, position + stopped, key)
        elif stopped == 0:
            size = max(4 * size, _WINDOW)  # a sequence of undefined length reaches beyond
            if size > _LARGEST_WINDOW:
                raise Quarantined("a sequence is larger than we hold in memory")
        if stretch.elements:
            last = stretch.elements[-1][0]
        _index(instance, stretch)
        if encapsulated:
            return
        size = size or _WINDOW
        position += stopped


def _walk_window(
    instance: Instance, position: int, size: int, last: int
) -> tuple[Stretch, int, bool]:
    """Walk what begins in one window.

    Returns the elements, the offset in the window of what comes next, and whether that is
    encapsulated pixel data.
    """
    source = instance.source
    layout = element.IMPLICIT if instance.implicit else element.EXPLICIT
    if size:
        buffer = source.read(position, min(size, source.size - position))
    else:
        buffer = source.head(FIRST_WINDOW)[position:]
    whole = position + len(buffer) == source.size
    end = len(buffer) if whole else len(buffer) - _LONGEST_HEADER
    elements: list[Element] = []
    stretch = Stretch(position, buffer, elements)
    try:
        limit = source.size - position
        stopped = element.walk(layout, buffer, 0, end, limit, elements, 0, last)
    except Encapsulated:
        return stretch, elements[-1][4] if elements else 0, True
    except Runaway:
        if whole and not _ends_in_pixels(elements):
            raise Quarantined("the file ends within an element") from None
        stopped = elements[-1][4] if elements else 0
    except (Disorder, Quarantined):
        if not _ends_in_pixels(elements):
            raise
        stopped = elements[-1][4]
    else:
        if stopped < end and not _ends_in_pixels(elements):
            raise Quarantined("an item's delimiter stands outside an item")
    return stretch, stopped, False


def _ends_in_pixels(elements: list[Element]) -> bool:
    """Tell whether Pixel Data were reached: what follows may be anything, it is never written."""
    return bool(elements) and elements[-1][0] >= element.PIXEL_DATA


def _index(instance: Instance, stretch: Stretch) -> None:
    elements = stretch.elements
    while elements and elements[-1][0] > element.PIXEL_DATA:
        elements.pop()
    for each in elements:
        instance.found[each[0]] = stretch, each
    if elements and elements[-1][0] in element.BULK:
        instance.bulk = stretch.base, elements.pop()
    if elements:
        instance.stretches.append(stretch)


def _fragments(source: Source, start: int, key: bytes) -> Fragments:
    """Walk the items of encapsulated pixel data (PS3.5 A.4) up to their delimiter."""
    position = start + _LONGEST_HEADER
    pieces: list[tuple[int, int]] = []
    for _ in range(element.MOST_ITEMS):
        header = source.read(position, 8)
        length = int.from_bytes(header[4:], "little")
        position += 8
        if header[:4] == element.SEQUENCE_END:
            if not pieces:
                raise Quarantined("encapsulated pixel data have no offset table")
            return Fragments(key, pieces)
        if header[:4] != element.ITEM or position + length > source.size:
            raise Quarantined("a fragment of the pixel data is not understood")
        pieces.append((position, length))
        position += length
    raise Quarantined("the pixel data have more fragments than any real ones")
