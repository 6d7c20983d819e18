"""A file to be proven, read by pread: a mapped one that is cut short meanwhile would kill us.

Its first bytes are held in memory, as far as the reader asks for them (`first`): they are the
header of all but the rarest instances. What lies beyond is read from the disk when it is asked for.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


class File:
    """An open file, to be sliced like bytes; OSError where it is not as long as it was."""

    __slots__ = ("_fd", "_head", "size")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._head = b""
        self.size = os.fstat(fd).st_size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, place: slice) -> bytes:
        start, stop, _ = place.indices(self.size)
        if stop <= len(self._head):
            return self._head[start:stop]
        return self._read(start, max(0, stop - start))

    def first(self, length: int) -> bytes:
        """Give the first bytes, or all there are, and keep them."""
        held, wanted = len(self._head), min(length, self.size)
        if held < wanted:
            self._head += self._read(held, wanted - held)
        return self._head

    def read_into(self, window: Bytes, at: int) -> None:
        """Fill a window with what lies in the file from an offset on.

        What is held already is not read again: what was judged is what is digested.
        """
        held = self._head[at : at + len(window)]
        window[: len(held)] = np.frombuffer(held, np.uint8)
        self._fill(window[len(held) :].data, at + len(held))

    def _read(self, at: int, length: int) -> bytes:
        part = os.pread(self._fd, length, at)
        if len(part) == length:
            return part
        whole = bytearray(length)
        whole[: len(part)] = part
        self._fill(memoryview(whole)[len(part) :], at + len(part))
        return bytes(whole)

    def _fill(self, view: memoryview, at: int) -> None:
        while view:
            read = os.preadv(self._fd, [view], at)  # the kernel gives 2 GB at once
            if not read:
                raise _changed()
            view, at = view[read:], at + read


@contextmanager
def opened(path: Path) -> Iterator[File]:
    """Open a file for as long as the block runs."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield File(fd)
    finally:
        os.close(fd)


#: What a file is made of: its bytes where they lie, or as they were inflated.
Buffer = bytes | File


def first(data: Buffer, length: int) -> bytes:
    """Give the first bytes, or all there are."""
    return data.first(length) if isinstance(data, File) else data[:length]


def _changed() -> OSError:
    return OSError(errno.EIO, "a file changed while it was read")
