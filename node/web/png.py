"""Eight-bit pictures as PNG (ISO/IEC 15948), with no metadata at all."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Give the PNG of (rows, columns) grey or (rows, columns, 3) RGB values."""
    rows, columns = pixels.shape[:2]
    kind = _RGB if pixels.ndim == 3 else _GREY  # noqa: PLR2004 -- rows, columns, samples
    size = columns.to_bytes(4, "big") + rows.to_bytes(4, "big")
    header = size + bytes((8, kind, 0, 0, 0))
    lines = np.zeros((rows, 1 + pixels[0].size), np.uint8)  # a filter type of 0 begins each line
    lines[:, 1:] = pixels.reshape(rows, -1)
    body = zlib.compress(lines.tobytes(), level=6)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return len(content).to_bytes(4, "big") + kind + content + check.to_bytes(4, "big")
