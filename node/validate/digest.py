"""The finished file's digest, in one pass in which its native pixel data is compared too.

The bytes are read window by window, each hashed and compared while it lies in the cache: a mapping
would cost a fault for every few pages.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from node.validate.elements import Buffer
from node.validate.native import Bytes, NativePixels

_WINDOW = 1 << 17  # bytes: whole samples of any width, and two windows stay in the cache


def digest(output: Path, source: Path, pixels: NativePixels | None = None) -> str:
    """Give the SHA-256 (hex) of the whole output; `pixels` sees the pixel data go by."""
    sha256 = hashlib.sha256()
    fds = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in (output, source)]
    try:
        whole = _Windows(fds[0])
        at = 0
        if pixels is not None:
            now = _Windows(fds[0], pixels.output.data, pixels.after.start)
            was = _Windows(fds[1], pixels.source.data, pixels.before.start)
            if now.is_file:
                at = pixels.after.start
                _update(sha256, whole, 0, at)
            for begin, size in _pieces(0, pixels.length):
                window = now.read(begin, size)
                if now.is_file:
                    sha256.update(window.data)
                    at += size
                pixels.see(window, was.read(begin, size))
        _update(sha256, whole, at, os.fstat(fds[0]).st_size)
    finally:
        for fd in fds:
            os.close(fd)
    return sha256.hexdigest()


class _Windows:
    """Bytes from an offset on: those of a file, or of a data set that was inflated from it."""

    def __init__(self, fd: int, data: Buffer | None = None, start: int = 0) -> None:
        self._fd, self._data, self._start = fd, data, start
        self.is_file = data is None or isinstance(data, mmap.mmap)
        self._buffer = np.empty(_WINDOW, np.uint8)

    def read(self, at: int, size: int) -> Bytes:
        """Give so many bytes; the next call may overwrite them."""
        at += self._start
        if not self.is_file:
            return np.frombuffer(self._data or b"", np.uint8, size, at)
        window = self._buffer[:size]
        if os.preadv(self._fd, [window.data], at) != size:
            raise OSError(errno.EIO, "a file changed while it was read")
        return window


def _update(sha256: hashlib._Hash, whole: _Windows, begin: int, end: int) -> None:
    for at, size in _pieces(begin, end):
        sha256.update(whole.read(at, size).data)


def _pieces(begin: int, end: int) -> Iterator[tuple[int, int]]:
    return ((at, min(_WINDOW, end - at)) for at in range(begin, end, _WINDOW))
