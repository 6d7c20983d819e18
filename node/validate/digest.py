"""The digests of output and original, in one pass in which native pixel data is compared too.

The bytes are read window by window, each hashed and compared while it lies in the cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from node.inbox.dataset_digest import DatasetDigest
from node.validate.file import Buffer, Bytes, File
from node.validate.native import NativePixels

_WINDOW = 1 << 18  # bytes: whole samples of any width, and two windows stay in the cache


def digests(
    output: File, source: File, begin: int | None, pixels: NativePixels | None
) -> tuple[str, str]:
    """Give the SHA-256 (hex) of the output, and the digest of the original's data set.

    Parameters
    ----------
    begin
        Where the original's data set begins in its file; None: unknown, and so is its digest.
    pixels
        Sees the pixel data of both go by.
    """
    sha256, dataset = hashlib.sha256(), DatasetDigest()
    after, before = _Stream(output, sha256.update), _Stream(source, dataset.update, begin or 0)
    if pixels is not None:
        now = after.windows(pixels.output.data, pixels.after.start, pixels.length)
        was = before.windows(pixels.source.data, pixels.before.start, pixels.length)
        for pair in zip(now, was, strict=True):
            pixels.see(*pair)
    after.pass_by(output.size)
    if begin is None:
        return sha256.hexdigest(), ""
    before.pass_by(source.size)
    return sha256.hexdigest(), dataset.text()


class _Stream:
    """A file that is read on and on from an offset, each byte hashed as it goes by."""

    def __init__(self, file: File, see: Callable[[memoryview], object], at: int = 0) -> None:
        self._file, self._see, self._at = file, see, at
        self._buffer = np.empty(_WINDOW, np.uint8)

    def windows(self, data: Buffer, start: int, length: int) -> Iterator[Bytes]:
        """Give so many bytes window by window: the file's, or what was inflated from it."""
        if data is self._file:
            self.pass_by(start)
        for begin in range(start, start + length, _WINDOW):
            size = min(_WINDOW, start + length - begin)
            if data is self._file:
                yield self._next(size)
            else:
                yield np.frombuffer(data, np.uint8, size, begin)  # type: ignore[arg-type]

    def pass_by(self, end: int) -> None:
        """Have all bytes go by up to an offset."""
        while self._at < end:
            self._next(min(_WINDOW, end - self._at))

    def _next(self, size: int) -> Bytes:
        """Give the bytes that follow; the next call overwrites them."""
        window = self._buffer[:size]
        self._file.read_into(window, self._at)
        self._see(window.data)
        self._at += size
        return window
