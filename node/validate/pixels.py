"""Whether the pixel data is the original's, to the byte, and exactly as long as the image says.

Native data is compared chunk by chunk; of an original longer than its image only the image counts.
Encapsulated data is compared frame by frame after comments were stripped from both. Where the
output is in another transfer syntax, both are decoded and the pixels compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from pathlib import Path

import numpy as np

from node.validate import codestream, decoded
from node.validate.elements import BULK, Element, Item
from node.validate.findings import Finding, Severity
from node.validate.reader import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, Parsed

_SAMPLES, _PHOTOMETRIC, _FRAMES = 0x00280002, 0x00280004, 0x00280008
_ROWS, _COLUMNS, _ALLOCATED, _STORED = 0x00280010, 0x00280011, 0x00280100, 0x00280101
_HIGH_BIT, _SIGNED = 0x00280102, 0x00280103
_FLOAT_BITS = {0x7FE00008: 32, 0x7FE00009: 64}
_RLE = "1.2.840.10008.1.2.5"
_NATIVE = frozenset({IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, "1.2.840.10008.1.2.1.99"})
#: Bytes that Big Endian turns round, by VR other than OW.
_SWAPS = {"OF": 4, "OL": 4, "OD": 8}
#: Bits Allocated of which the unused ones can be looked at.
_WIDTHS = (8, 16, 32, 64)
_CHUNK = 1 << 16  # bytes: two of them stay in the cache


def check_pixels(
    source: Parsed, output: Parsed, source_path: Path, output_path: Path
) -> Iterator[Finding]:
    """Compare pixel data of any kind; nothing to compare is fine if neither has any."""
    for tag in sorted(BULK):
        before, after = source.dataset.by_tag.get(tag), output.dataset.by_tag.get(tag)
        if before is None and after is None:
            continue
        if before is None or after is None:
            yield _invalid("Pixel data is gone." if before else "Pixel data appeared.")
        elif is_transcoded(source, output):
            if after.fragments is None:
                yield from _check_length(output, after)
            if not decoded.are_equal(source_path, output_path):
                yield _invalid("Transcoded, and the decoded pixels differ.")
            if after.fragments is not None:
                yield from _check_remarks(output, after)
        elif before.fragments is not None and after.fragments is not None:
            yield from _check_frames(source, output, before, after)
        elif before.fragments is None and after.fragments is None:
            yield from _check_native(source, output, before, after)
        else:
            yield _invalid("Encapsulated and native do not fit their transfer syntaxes.")


def is_transcoded(source: Parsed, output: Parsed) -> bool:
    """Tell whether the pixel data was written in another compression."""
    return source.syntax != output.syntax and not {source.syntax, output.syntax} <= _NATIVE


def _invalid(explanation: str, severity: Severity = Severity.INVALID) -> Finding:
    return Finding("pixels", severity, "(7FE0,0010)", explanation)


def number(parsed: Parsed, tag: int, default: int = 0) -> int:
    """Give an unsigned short of the data set."""
    value = parsed.dataset.value(tag)[:2]
    order = "big" if parsed.big_endian else "little"
    return int.from_bytes(value, order) if value else default  # type: ignore[arg-type]


def frame_count(dataset: Item) -> int:
    """Give Number of Frames; 1 where it is absent or unreadable."""
    value = dataset.value(_FRAMES).strip(b" \0")
    return int(value) if value.isdigit() else 1


def _expected_length(parsed: Parsed, tag: int) -> int:
    """Compute the length in bytes that PS3.3 C.7.6.3 and PS3.5 8.1 give, without padding."""
    samples = number(parsed, _SAMPLES, 1)
    pixels = number(parsed, _ROWS) * number(parsed, _COLUMNS) * frame_count(parsed.dataset)
    bits = pixels * samples * _FLOAT_BITS.get(tag, number(parsed, _ALLOCATED))
    if parsed.dataset.value(_PHOTOMETRIC).strip(b" \0") == b"YBR_FULL_422":
        bits = bits * 2 // 3
    return ceil(bits / 8)


def _check_length(output: Parsed, after: Element) -> Iterator[Finding]:
    length = _expected_length(output, after.tag)
    if after.length != length + length % 2:
        yield _invalid("Pixel data is not as long as the image.")
    elif length % 2 and output.data[after.start + length] != 0:
        yield _invalid("The padding byte of the pixel data is not zero.")


def _check_native(
    source: Parsed, output: Parsed, before: Element, after: Element
) -> Iterator[Finding]:
    yield from _check_length(output, after)
    length = min(_expected_length(output, after.tag), after.length)
    if before.length < length:
        yield _invalid("Pixel data is longer than the original's.")
        return
    widths = _swap_widths(source, before) if source.big_endian else (1,)
    length = min(length + -length % widths[-1], before.length, after.length)
    if not any(_is_same(source, output, before, after, length, width) for width in widths):
        yield _invalid("Pixel data is not the original's.")
    elif not _are_unused_bits_idle(output, after):
        yield _invalid("Bits beyond Bits Stored hold something.", Severity.LEAK)


def _swap_widths(source: Parsed, before: Element) -> tuple[int, ...]:
    """Give how many bytes Big Endian turns round: for OW words of 16 bits, or whole samples."""
    if before.vr == "OW":
        return (2, max(2, number(source, _ALLOCATED) // 8))
    return (_SWAPS.get(before.vr, 1),)


def _is_same(
    source: Parsed, output: Parsed, before: Element, after: Element, length: int, width: int
) -> bool:
    a, b = before.start, after.start
    data, twin = source.data, output.data
    for at in range(0, length, _CHUNK):
        size = min(_CHUNK, length - at)
        was, now = data[a + at : a + at + size], twin[b + at : b + at + size]
        if width > 1:
            was = _swapped(was, width)
        if was != now and not _is_masked(output, was, now):
            return False
    return True


def _swapped(value: bytes, width: int) -> bytes:
    if len(value) % width:
        return value
    swapped = bytearray(len(value))
    for byte in range(width):
        swapped[byte::width] = value[width - 1 - byte :: width]
    return bytes(swapped)


def _stored_mask(output: Parsed) -> tuple[np.dtype[np.unsignedinteger], int] | None:
    """Give a sample's type and the mask of its stored bits; None if all bits are stored."""
    allocated, stored = number(output, _ALLOCATED), number(output, _STORED)
    if allocated not in _WIDTHS or not 0 < stored < allocated:
        return None
    low = max(number(output, _HIGH_BIT, stored - 1) - stored + 1, 0)
    return np.dtype(f"<u{allocated // 8}"), ((1 << stored) - 1) << low


def _is_masked(output: Parsed, was: bytes, now: bytes) -> bool:
    """Tell whether only bits outside the stored ones were cleared (overlays lay in them)."""
    masked = _stored_mask(output)
    if masked is None:
        return False
    kind, mask = masked
    return np.array_equal(np.frombuffer(was, kind) & mask, np.frombuffer(now, kind))


def _are_unused_bits_idle(output: Parsed, after: Element) -> bool:
    """Tell whether the bits beyond Bits Stored are zero, or repeat the sign of a signed sample."""
    masked = _stored_mask(output)
    if masked is None:
        allocated, stored = number(output, _ALLOCATED), number(output, _STORED)
        return allocated in _WIDTHS or stored >= allocated or after.tag in _FLOAT_BITS
    kind, mask = masked
    unused = ~mask & (1 << 8 * kind.itemsize) - 1
    end = after.start + after.length - after.length % kind.itemsize
    for at in range(after.start, end, _CHUNK):
        samples = np.frombuffer(output.data[at : min(at + _CHUNK, end)], kind)
        beyond = samples & unused
        if not beyond.any():
            continue
        signed = number(output, _SIGNED) and (beyond[beyond != 0] == unused).all()
        negative = (samples[beyond != 0] >> number(output, _HIGH_BIT)) & 1
        if not signed or not negative.all():
            return False
    return True


def _check_frames(
    source: Parsed, output: Parsed, before: Element, after: Element
) -> Iterator[Finding]:
    was, now = _frames(source, before), _frames(output, after)
    if [codestream.strip(frame).rstrip(b"\0\xff") for frame in was] != [
        codestream.strip(frame).rstrip(b"\0\xff") for frame in now
    ]:
        yield _invalid("A frame's codestream is not the original's.")
    yield from _check_remarks(output, after)


def _check_remarks(output: Parsed, after: Element) -> Iterator[Finding]:
    frames = _frames(output, after)
    if len(frames) != frame_count(output.dataset):
        yield _invalid("There are more or fewer frames than Number of Frames says.")
    pixels = number(output, _ROWS) * number(output, _COLUMNS)
    for index, frame in enumerate(frames):
        rle = output.syntax == _RLE
        if remark := codestream.rle_remarks(frame, pixels) if rle else codestream.remarks(frame):
            yield _invalid(f"Frame {index + 1} carries {remark}.", Severity.LEAK)
    yield from _check_offsets(output, after)


def _frames(parsed: Parsed, element: Element) -> list[bytes]:
    """Join the fragments of each frame: a codestream's start begins a new one."""
    fragments = [
        parsed.data[start : start + length] for start, length in (element.fragments or ())[1:]
    ]
    if len(fragments) == frame_count(parsed.dataset) or parsed.syntax == _RLE:
        return fragments
    frames: list[bytes] = []
    for fragment in fragments:
        starts = fragment[:2] in (codestream.JPEG_START, codestream.J2K_START)
        if starts or not frames:
            frames.append(fragment)
        else:
            frames[-1] += fragment
    return frames


def _check_offsets(output: Parsed, after: Element) -> Iterator[Finding]:
    """See that the Basic Offset Table holds offsets of fragments and nothing else (PS3.5 A.4)."""
    fragments = after.fragments or ()
    if not fragments:
        yield _invalid("Encapsulated pixel data without a Basic Offset Table item.")
        return
    start, length = fragments[0]
    first = start + length
    lawful = {position - 8 - first for position, _ in fragments[1:]}
    table = memoryview(output.data[start : start + length - length % 4]).cast("I")
    if length % 4 or not lawful.issuperset(table):
        yield _invalid("The Basic Offset Table points at no fragment.")
