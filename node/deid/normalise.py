"""Data sets that are not explicit or implicit VR little endian in order are made so, in memory.

Deflated (PS3.5 A.5) and explicit VR big endian (PS3.5 A.3, retired) leave us as explicit VR little
endian; so does a sequence that somebody's implicit VR turned into UN. All of it is bounded.
"""

from __future__ import annotations

import array
import zlib
from struct import Struct
from struct import error as StructError  # noqa: N812 -- it is a class

import numpy as np
from pydicom.datadict import dictionary_VR

from node.deid.element import (
    DEEPEST,
    LONG_VRS,
    MOST_ELEMENTS,
    PIXEL_DATA,
    SHORT_VRS,
    UNDEFINED,
    Disorder,
    Items,
    Runaway,
    walk_items,
)
from node.deid.outcome import Quarantined
from node.deid.source import Source

_LARGEST = 1024 * 1024 * 1024
_CHUNK = 1024 * 1024
_BITS_ALLOCATED = 0x00280100
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
#: Width of the numbers in a value, by VR (PS3.5 7.3): big endian is swapped by it.
_WIDTHS = {
    "US": 2, "SS": 2, "OW": 2, "AT": 2, "UL": 4, "SL": 4, "FL": 4, "OF": 4, "OL": 4,
    "FD": 8, "OD": 8, "OV": 8, "SV": 8, "UV": 8,
}  # fmt: skip
_SWAPS = {2: "H", 4: "I", 8: "Q"}


def inflate(source: Source, offset: int) -> bytes:
    """Inflate a deflated data set; Quarantined beyond 1 GiB or where the stream is damaged."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    pieces: list[bytes] = []
    total, position = 0, offset
    try:
        while position < source.size and not inflater.eof:
            chunk = source.read(position, min(_CHUNK, source.size - position))
            position += len(chunk)
            while chunk and not inflater.eof:
                piece = inflater.decompress(chunk, _CHUNK)
                chunk = inflater.unconsumed_tail
                total += len(piece)
                pieces.append(piece)
                if total > _LARGEST:
                    raise Quarantined("it inflates to more than we hold in memory")
    except zlib.error:
        raise Quarantined("its deflated data set is damaged") from None
    if not inflater.eof:
        raise Quarantined("its deflated data set is cut short")
    return b"".join(pieces)


def from_big_endian(source: Source, offset: int) -> bytes:
    """Give an explicit VR big endian data set as explicit VR little endian."""
    if source.size - offset > _LARGEST:
        raise Quarantined("a big endian data set is larger than we hold in memory")
    return _Transcoder(source.read(offset, source.size - offset), big=True, implicit=False).all()


def from_unknown(value: bytes, depth: int) -> bytes:
    """Give the items of a UN sequence (implicit VR little endian) as explicit VR little endian."""
    return _Transcoder(value, big=False, implicit=True).items(0, len(value), depth)[0]


def items_within(
    buffer: bytes, start: int, end: int, depth: int, *, implicit: bool
) -> tuple[bytes, Items]:
    """Give the items of a sequence of defined length, in order, and the buffer that they lie in."""
    try:
        return buffer, walk_items(buffer, start, end, depth, implicit=implicit)[0]
    except Runaway:
        raise Quarantined("an item ends beyond its sequence") from None
    except Disorder:
        order = _Transcoder(buffer[start:end], big=False, implicit=implicit, keep_implicit=implicit)
        ordered = order.items(0, end - start, depth)[0]
        return ordered, walk_items(ordered, 0, len(ordered), depth, implicit=implicit)[0]


def in_order(source: Source, offset: int, *, implicit: bool) -> bytes:
    """Give a data set whose tags do not ascend with its elements, at every level, in their order.

    Quarantined where an attribute stands twice, since nobody can say which one is meant.
    """
    if source.size - offset > _LARGEST:
        raise Quarantined("a data set that is not in order is larger than we hold in memory")
    body = source.read(offset, source.size - offset)
    return _Transcoder(body, big=False, implicit=implicit, keep_implicit=implicit).all()


class _Transcoder:
    """Rewrites one buffer. Lengths become defined, tags ascend, delimiters go."""

    def __init__(
        self, buffer: bytes, *, big: bool, implicit: bool, keep_implicit: bool = False
    ) -> None:
        self.buffer = buffer
        self.implicit = implicit
        self.keep_implicit = keep_implicit
        self.big = big
        order = ">" if big else "<"
        self.u16 = Struct(order + "H").unpack_from
        self.u32 = Struct(order + "I").unpack_from
        self.pair = Struct(order + "HH").unpack_from

    def all(self) -> bytes:
        try:
            return self.elements(0, len(self.buffer), 0)[0]
        except (StructError, UnicodeDecodeError):
            raise Quarantined("the file ends within an element") from None

    def elements(self, position: int, end: int, depth: int) -> tuple[bytes, int]:
        """Rewrite elements up to `end` or an item's delimiter."""
        found: dict[int, bytes] = {}
        while position < end:
            group, number = self.pair(self.buffer, position)
            tag = group << 16 | number
            if tag == _ITEM_END:
                position += 8
                break
            if tag in found:
                raise Quarantined("an attribute stands twice in a data set")
            vr, start, length = self.header(tag, position)
            value, position = self.value(vr, tag, start, length, depth)
            if self.big and tag == PIXEL_DATA and vr == "OW":
                value = _rejoined(value, found.get(_BITS_ALLOCATED, b""))
            if position > end:
                raise Quarantined("the file ends within an element")
            found[tag] = self.encode(tag, vr, value)
            if len(found) > MOST_ELEMENTS:
                raise Quarantined("a data set has more elements than any real one")
            if tag == PIXEL_DATA and depth == 0:  # what follows is never written
                break
        return b"".join(found[tag] for tag in sorted(found)), position

    def header(self, tag: int, position: int) -> tuple[str, int, int]:
        if self.implicit:
            return _vr_of(tag), position + 8, self.u32(self.buffer, position + 4)[0]
        vr = self.buffer[position + 4 : position + 6].decode("ascii")
        if vr in SHORT_VRS:
            return vr, position + 8, self.u16(self.buffer, position + 6)[0]
        if vr in LONG_VRS:
            return vr, position + 12, self.u32(self.buffer, position + 8)[0]
        raise Quarantined("an element has a value representation that DICOM does not know")

    def value(self, vr: str, tag: int, start: int, length: int, depth: int) -> tuple[bytes, int]:
        if vr == "SQ" or length == UNDEFINED:
            if vr not in ("SQ", "UN") or tag == PIXEL_DATA:
                raise Quarantined("an element that is no sequence has an undefined length")
            end = len(self.buffer) if length == UNDEFINED else start + length
            if vr == "UN" and not self.implicit:
                nested = _Transcoder(self.buffer, big=False, implicit=True)
                return nested.items(start, end, depth)
            return self.items(start, end, depth)
        value = self.buffer[start : start + length]
        if len(value) != length:
            raise Quarantined("the file ends within an element")
        width = _WIDTHS.get(vr, 0)
        if self.big and width:
            if length % width:
                raise Quarantined("a number has a length that its value representation forbids")
            numbers = array.array(_SWAPS[width], value)
            numbers.byteswap()
            value = numbers.tobytes()
        return value, start + length

    def items(self, position: int, end: int, depth: int) -> tuple[bytes, int]:
        """Rewrite items up to `end` or the sequence's delimiter."""
        if depth >= DEEPEST:
            raise Quarantined("sequences are nested deeper than in any real data set")
        items: list[bytes] = []
        try:
            while position < end:
                group, number = self.pair(self.buffer, position)
                length = self.u32(self.buffer, position + 4)[0]
                position += 8
                tag = group << 16 | number
                if tag == _SEQUENCE_END:
                    break
                if tag != _ITEM:
                    raise Quarantined("a sequence holds something else than items")
                after = end if length == UNDEFINED else position + length
                if after > end:
                    raise Quarantined("an item ends beyond its sequence")
                item, position = self.elements(position, after, depth + 1)
                items.append(b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item)
        except (StructError, UnicodeDecodeError):
            raise Quarantined("a sequence is not understood") from None
        return b"".join(items), position

    def encode(self, tag: int, vr: str, value: bytes) -> bytes:
        head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
        length = len(value)
        if length >= UNDEFINED:
            raise Quarantined("a value is longer than DICOM can say")
        if self.keep_implicit:
            return head + length.to_bytes(4, "little") + value
        if vr in SHORT_VRS and length > 0xFFFF:  # noqa: PLR2004 -- 16 bits of length
            vr = "UN"  # PS3.5 6.2.2 note 2: too long for its own VR
        if vr in LONG_VRS:
            return head + vr.encode() + b"\0\0" + length.to_bytes(4, "little") + value
        return head + vr.encode() + length.to_bytes(2, "little") + value


def _rejoined(pixels: bytes, bits_allocated: bytes) -> bytes:
    """Put pixels of 32 or 64 bits together again, of which the 16-bit words were swapped."""
    words = int.from_bytes(bits_allocated[8:10], "little") // 16
    if words not in (2, 4) or len(pixels) % (2 * words):
        return pixels
    return np.frombuffer(pixels, "<u2").reshape(-1, words)[:, ::-1].tobytes()


def _vr_of(tag: int) -> str:
    """Give an attribute's VR in implicit VR; where the dictionary leaves a choice, UN."""
    if tag & 0xFFFF == 0:
        return "UL"
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"  # noqa: PLR2004 -- private creators
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return "UN"
    return vr if len(vr) == 2 else "UN"  # noqa: PLR2004 -- "US or SS"
