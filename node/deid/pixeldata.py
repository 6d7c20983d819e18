"""Pixel data: exactly as long as the image is, and nothing in them but the image.

Native pixel data go from file to file inside the kernel. Compressed ones are looked through for
comments; where there is none they are copied as they are, table of offsets included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from node.deid import codestream, rle
from node.deid.element import ITEM, PIXEL_DATA, SEQUENCE_END, Element, tag_bytes
from node.deid.outcome import Quarantined
from node.deid.reader import Fragments, Instance
from node.deid.syntax import CODECS, Codec
from node.deid.writer import Piece

FLOAT, DOUBLE = 0x7FE00008, 0x7FE00009
#: Extended Offset Table and its lengths (PS3.3 C.7.6.3.1.8).
OFFSETS, OFFSET_LENGTHS = 0x7FE00001, 0x7FE00002

_SAMPLES, _PHOTOMETRIC, _FRAMES, _ROWS, _COLUMNS = (
    0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011,
)  # fmt: skip
_ALLOCATED, _STORED, _HIGH_BIT = 0x00280100, 0x00280101, 0x00280102
_LARGEST_REWRITE = 1024 * 1024 * 1024


class Pixels(NamedTuple):
    """Pieces of the element as it is written, and whether offsets into it still hold."""

    pieces: list[Piece]
    offsets_hold: bool


def pixels_of(instance: Instance) -> Pixels | None:
    """Give the pixel data of an instance; None if it has none."""
    if instance.fragments is not None:
        return _encapsulated(instance, instance.fragments)
    if instance.bulk is not None:
        return _native(instance, *instance.bulk)
    return None


def _native(instance: Instance, base: int, element: Element) -> Pixels:
    """Give native pixel data of exactly the length that the image's description asks for."""
    tag, key, _, start, end, items = element
    if items is not None or instance.transfer_syntax_uid in CODECS:
        raise Quarantined("its pixel data are not encoded as its transfer syntax says")
    length = _expected_length(instance, tag, end - start)
    padding = b"\0" * (length % 2)
    head = _head(tag, key, length + len(padding), implicit=instance.implicit)
    first = base + start
    mask = _embedded_overlay_mask(instance)
    if mask:
        return Pixels([head, _masked(instance.source.read(first, length), mask), padding], True)
    return Pixels([head, (first, length), padding], True)


def _encapsulated(instance: Instance, fragments: Fragments) -> Pixels:
    """Give compressed pixel data without what is no picture."""
    codec = CODECS.get(instance.transfer_syntax_uid)
    if codec is None:
        raise Quarantined("its pixel data are not encoded as its transfer syntax says")
    if _embedded_overlay_mask(instance):
        raise Quarantined("an overlay lies in the bits of compressed pixel data")
    head = tag_bytes(PIXEL_DATA) + b"OB\0\0\xff\xff\xff\xff"
    frames = _frames(instance, codec, fragments)
    table, *pieces = fragments.pieces
    if not any(stripped for _, stripped in frames):
        sound = _is_table(instance.source.read(*table), fragments)
        first = (table if sound else pieces[0])[0] - 8
        last = fragments.pieces[-1]
        empty = b"" if sound else ITEM + bytes(4)
        whole = first, last[0] + last[1] - first
        holds = _extended_offsets_hold(instance, fragments)
        return Pixels([head + empty, whole, SEQUENCE_END + bytes(4)], holds)
    return Pixels([head, *_rewritten(frames), SEQUENCE_END + bytes(4)], False)


#: A frame: where its fragments lie, and its codestream where something was taken out of it.
Frame = tuple[list[tuple[int, int]], bytes | None]


def _frames(instance: Instance, codec: Codec, fragments: Fragments) -> list[Frame]:
    """Put fragments together to codestreams, and strip each."""
    pieces = fragments.pieces[1:]
    if codec in (Codec.MPEG_2, Codec.H264):
        return [([piece], None) for piece in pieces]
    groups = _groups(instance, codec, pieces)
    if len(groups) != _number_of_frames(instance):
        raise Quarantined("its pixel data have another number of frames than they say")
    return [(group, _without_talk(instance, codec, group)) for group in groups]


def _groups(
    instance: Instance, codec: Codec, pieces: list[tuple[int, int]]
) -> list[list[tuple[int, int]]]:
    """Put the fragments of each frame together; of most codecs each begins a frame."""
    grouped: list[list[tuple[int, int]]] = []
    for piece in pieces:
        begins = codestream.is_start(codec, instance.source.read(piece[0], min(piece[1], 8)))
        if not begins and not grouped:
            raise Quarantined("its pixel data are not encoded as its transfer syntax says")
        if begins:
            grouped.append([])
        grouped[-1].append(piece)
    return grouped


def _without_talk(instance: Instance, codec: Codec, group: list[tuple[int, int]]) -> bytes | None:
    """Give a frame's codestream without what is no picture; None if it has nothing else."""
    if sum(length for _, length in group) > _LARGEST_REWRITE:
        raise Quarantined("a compressed frame is larger than we hold in memory")
    stream = b"".join(instance.source.read(*piece) for piece in group)
    if codec is Codec.RLE:
        stripped = rle.strip(stream, *_planes(instance))
    else:
        stripped = codestream.strip(codec, stream)
    unchanged = stream.startswith(stripped) and not stream[len(stripped) :].strip(b"\0\xff")
    return None if unchanged else stripped


def _planes(instance: Instance) -> tuple[int, int]:
    """Give how many RLE segments a frame has, and the bytes of each; bits are packed to bytes."""
    pixels = _integer(instance, _ROWS) * _integer(instance, _COLUMNS)
    samples, allocated = _integer(instance, _SAMPLES, 1), _integer(instance, _ALLOCATED)
    if allocated == 1:
        return samples, (pixels + 7) // 8
    return samples * (allocated // 8), pixels


def _rewritten(frames: list[Frame]) -> list[Piece]:
    """Give table and fragments anew, one fragment per frame that was stripped."""
    offsets: list[int] = []
    pieces: list[Piece] = []
    position = 0
    for group, stripped in frames:
        offsets.append(position)
        if stripped is not None:
            padding = b"\0" * (len(stripped) % 2)
            size = len(stripped) + len(padding)
            pieces.append(ITEM + size.to_bytes(4, "little") + stripped + padding)
            position += 8 + size
            continue
        for start, length in group:
            pieces += [ITEM + length.to_bytes(4, "little"), (start, length)]
            position += 8 + length
    if position > 0xFFFFFFFF:  # noqa: PLR2004 -- more than a basic offset table can say
        return [ITEM + bytes(4), *pieces]
    table = b"".join(offset.to_bytes(4, "little") for offset in offsets)
    return [ITEM + len(table).to_bytes(4, "little") + table, *pieces]


def _is_table(table: bytes, fragments: Fragments) -> bool:
    """Tell whether a basic offset table holds what it must: offsets of fragments, ascending."""
    if len(table) % 4 or not fragments.pieces[1:]:
        return False
    first = fragments.pieces[1][0]
    starts = {start - first for start, _ in fragments.pieces[1:]}
    offsets = [int.from_bytes(table[at : at + 4], "little") for at in range(0, len(table), 4)]
    return set(offsets) <= starts and sorted(set(offsets)) == offsets


def _extended_offsets_hold(instance: Instance, fragments: Fragments) -> bool:
    """Tell whether the extended offset table is one of this pixel data: offsets and lengths."""
    first = fragments.pieces[1][0] if fragments.pieces[1:] else 0
    told = zip(
        _numbers(instance.value(OFFSETS)), _numbers(instance.value(OFFSET_LENGTHS)), strict=False
    )
    real = {start - first: length for start, length in fragments.pieces[1:]}
    return all(length <= real.get(offset, -1) < length + 2 for offset, length in told) and len(
        instance.value(OFFSETS)
    ) == len(instance.value(OFFSET_LENGTHS))


def _numbers(value: bytes) -> list[int]:
    return [int.from_bytes(value[at : at + 8], "little") for at in range(0, len(value), 8)]


def _expected_length(instance: Instance, tag: int, told: int) -> int:
    """Give the bytes of an image; Quarantined if the file holds fewer."""
    rows, columns = _integer(instance, _ROWS), _integer(instance, _COLUMNS)
    samples = _integer(instance, _SAMPLES, 1)
    allocated = {FLOAT: 32, DOUBLE: 64}.get(tag) or _integer(instance, _ALLOCATED)
    values = rows * columns * samples * _number_of_frames(instance)
    expected = (values * allocated + 7) // 8
    photometric = instance.value(_PHOTOMETRIC).strip(b" \0")
    if photometric in (b"YBR_FULL_422", b"YBR_PARTIAL_422") and told < expected:
        expected = expected // 3 * 2  # two chrominance samples for two pixels (C.7.6.3.1.2)
    if expected == 0 or told < expected:
        raise Quarantined("its pixel data are shorter than its image")
    return expected


def _number_of_frames(instance: Instance) -> int:
    text = instance.value(_FRAMES).strip(b" \0")
    if not text:
        return 1
    if not text.isdigit() or int(text[:12]) == 0:
        raise Quarantined("its number of frames is not understood")
    return int(text[:12])


def _integer(instance: Instance, tag: int, absent: int = 0) -> int:
    value = instance.value(tag)
    if not value:
        return absent
    if len(value) not in (2, 4):
        raise Quarantined("its image is not described as DICOM asks")
    return int.from_bytes(value, "little")


def _embedded_overlay_mask(instance: Instance) -> int:
    """Give the bits that pixels have where an overlay lies in the other ones (retired); else 0."""
    for tag in instance.found:
        if tag & 0xFF01FFFF == 0x60000100 and tag + 0x2F00 not in instance.found:  # noqa: PLR2004
            bits = instance.value(tag)
            if int.from_bytes(bits, "little") > 1 and (tag + 2) in instance.found:
                stored, high = _integer(instance, _STORED), _integer(instance, _HIGH_BIT)
                if not 0 < stored <= high + 1 or _integer(instance, _ALLOCATED) not in (8, 16):
                    raise Quarantined(
                        "an overlay lies in bits of the pixel data that we cannot tell"
                    )
                return ((1 << stored) - 1) << (high + 1 - stored) | _integer(
                    instance, _ALLOCATED
                ) << 32
    return 0


def _masked(pixels: bytes, mask: int) -> bytes:
    if len(pixels) > _LARGEST_REWRITE:
        raise Quarantined("pixel data with an overlay in them are larger than we hold in memory")
    if mask >> 32 == 16:  # noqa: PLR2004 -- bits allocated
        return (np.frombuffer(pixels, "<u2") & np.uint16(mask & 0xFFFF)).tobytes()
    return (np.frombuffer(pixels, "u1") & np.uint8(mask & 0xFF)).tobytes()


def _head(tag: int, key: bytes, length: int, *, implicit: bool) -> bytes:
    if length > 0xFFFFFFFE:  # noqa: PLR2004 -- the most that a defined length can say
        raise Quarantined("its pixel data are longer than DICOM can say")
    if implicit:
        return tag_bytes(tag) + length.to_bytes(4, "little")
    vr = key[4:] if key[4:] in (b"OB", b"OW") else b"OW"
    vr = {FLOAT: b"OF", DOUBLE: b"OD"}.get(tag, vr)
    return tag_bytes(tag) + vr + b"\0\0" + length.to_bytes(4, "little")
