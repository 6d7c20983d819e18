"""Native pixel data, held against the original's while the output's bytes go by to be hashed.

Of an original that is longer than its image only the image counts. What differs may be bits that
are no part of a sample: overlays lay in them, and the output has them cleared.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np
import numpy.typing as npt

from node.validate.elements import Element, Item
from node.validate.file import Bytes
from node.validate.findings import Finding, Severity
from node.validate.reader import Parsed

_SAMPLES, _PHOTOMETRIC, _FRAMES = 0x00280002, 0x00280004, 0x00280008
_ROWS, _COLUMNS, _ALLOCATED, _STORED = 0x00280010, 0x00280011, 0x00280100, 0x00280101
_HIGH_BIT, _SIGNED = 0x00280102, 0x00280103
_FLOAT_BITS = {0x7FE00008: 32, 0x7FE00009: 64}
#: Bytes that Big Endian turns round, by VR other than OW.
_SWAPS = {"OF": 4, "OL": 4, "OD": 8}
#: Bits Allocated of which the unused ones can be looked at.
_WIDTHS = (8, 16, 32, 64)


def invalid(explanation: str, severity: Severity = Severity.INVALID) -> Finding:
    """Make a finding about the pixel data."""
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


def pixel_count(parsed: Parsed) -> int:
    """Give how many pixels a frame has."""
    return number(parsed, _ROWS) * number(parsed, _COLUMNS)


def check_length(output: Parsed, after: Element) -> Iterator[Finding]:
    """See that native pixel data is as long as the image, and padded with a zero."""
    length = _expected_length(output, after.tag)
    if after.length != length + length % 2:
        yield invalid("Pixel data is not as long as the image.")
    elif length % 2 and output.data[after.start + length : after.start + length + 1] != b"\0":
        yield invalid("The padding byte of the pixel data is not zero.")


def _expected_length(parsed: Parsed, tag: int) -> int:
    """Compute the length in bytes that PS3.3 C.7.6.3 and PS3.5 8.1 give, without padding."""
    pixels = pixel_count(parsed) * frame_count(parsed.dataset)
    bits = pixels * number(parsed, _SAMPLES, 1) * _FLOAT_BITS.get(tag, number(parsed, _ALLOCATED))
    if parsed.dataset.value(_PHOTOMETRIC).strip(b" \0") == b"YBR_FULL_422":
        bits = bits * 2 // 3
    return ceil(bits / 8)


class NativePixels:
    """Native pixel data of an original and of its output, compared window by window."""

    def __init__(self, source: Parsed, output: Parsed, tag: int) -> None:
        before, after = source.dataset.by_tag[tag], output.dataset.by_tag[tag]
        self.source, self.output, self.before, self.after = source, output, before, after
        #: How Big Endian may have turned the bytes round: as the first windows allow.
        self._widths = _swap_widths(source, before) if source.big_endian else (1,)
        length = min(_expected_length(output, tag), after.length)
        self._is_short = before.length < length
        length = min(length + -length % self._widths[-1], before.length, after.length)
        self.length = length
        self._samples = _stored_samples(output)
        self._are_bits_idle = self._samples is not None or _are_all_stored(output, tag)

    def see(self, now: Bytes, was: Bytes) -> None:
        """Compare a window of the output with as many bytes of the original."""
        self._widths = tuple(width for width in self._widths if self._is_same(was, now, width))
        if self._samples is not None and self._are_bits_idle:
            kind, mask = self._samples
            samples = now[: len(now) - len(now) % kind.itemsize].view(kind)
            unused = ~mask & (1 << 8 * kind.itemsize) - 1
            if np.bitwise_or.reduce(samples) & unused:
                self._are_bits_idle = _is_sign(self.output, samples, unused)

    def _is_same(self, was: Bytes, now: Bytes, width: int) -> bool:
        if width > 1:
            was = _swapped(was, width)
        if (was == now).all():
            return True
        if self._samples is None or len(was) % self._samples[0].itemsize:
            return False
        kind, mask = self._samples
        return bool((was.view(kind) & mask == now.view(kind)).all())

    def findings(self) -> Iterator[Finding]:
        """Say what was found when the whole output has gone by."""
        yield from check_length(self.output, self.after)
        if self._is_short:
            yield invalid("Pixel data is longer than the original's.")
        elif not self._widths:
            yield invalid("Pixel data is not the original's.")
        elif not self._are_bits_idle:
            yield invalid("Bits beyond Bits Stored hold something.", Severity.LEAK)


def _swap_widths(source: Parsed, before: Element) -> tuple[int, ...]:
    """Give how many bytes Big Endian turns round: for OW words of 16 bits, or whole samples."""
    if before.vr == "OW":
        return (2, max(2, number(source, _ALLOCATED) // 8))
    return (_SWAPS.get(before.vr, 1),)


def _swapped(value: Bytes, width: int) -> Bytes:
    if len(value) % width:
        return value
    return np.ascontiguousarray(value.reshape(-1, width)[:, ::-1]).reshape(-1)


def _stored_samples(output: Parsed) -> tuple[np.dtype[np.unsignedinteger], int] | None:
    """Give a sample's type and the mask of its stored bits; None if all bits are stored."""
    allocated, stored = number(output, _ALLOCATED), number(output, _STORED)
    if allocated not in _WIDTHS or not 0 < stored < allocated:
        return None
    low = max(number(output, _HIGH_BIT, stored - 1) - stored + 1, 0)
    return np.dtype(f"<u{allocated // 8}"), ((1 << stored) - 1) << low


def _are_all_stored(output: Parsed, tag: int) -> bool:
    allocated, stored = number(output, _ALLOCATED), number(output, _STORED)
    return allocated in _WIDTHS or stored >= allocated or tag in _FLOAT_BITS


def _is_sign(output: Parsed, samples: npt.NDArray[np.unsignedinteger], unused: int) -> bool:
    """Tell whether what stands in the unused bits is the sign of signed samples."""
    beyond = samples[samples & unused != 0]
    negative = (beyond >> number(output, _HIGH_BIT)) & 1
    return bool(number(output, _SIGNED) and (beyond & unused == unused).all() and negative.all())
