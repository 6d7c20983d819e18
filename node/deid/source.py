"""Bytes to read from: a file, or what was inflated or put in order in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator

from node.deid.outcome import Quarantined

_CHUNK = 1024 * 1024


class Source:
    """A file's descriptor, or bytes. Reading never moves anything."""

    __slots__ = ("_head", "fd", "memory", "size")

    def __init__(self, size: int = 0, *, fd: int = -1, memory: bytes = b"") -> None:
        self.fd = fd
        self.memory = memory
        self.size = len(memory) if fd < 0 else size
        self._head = b""

    def head(self, length: int) -> bytes:
        """Give the first bytes, or all where there are fewer; read once for who asks again."""
        if not self._head:
            self._head = self.read(0, min(self.size, length))
        return self._head

    def chunks(self, offset: int, length: int, overlap: int) -> Iterator[bytes]:
        """Give a range piece by piece, each beginning with the last bytes of the one before."""
        end = offset + length
        while offset < end:
            piece = self.read(offset, min(_CHUNK, end - offset))
            yield piece
            if offset + len(piece) == end:
                return
            offset += len(piece) - min(overlap, _CHUNK // 2)

    def read(self, offset: int, length: int) -> bytes:
        """Give exactly `length` bytes; Quarantined where the source ends before."""
        if self.fd < 0:
            piece = self.memory[offset : offset + length]
        else:
            piece = os.pread(self.fd, length, offset)
            while len(piece) < length:
                more = os.pread(self.fd, length - len(piece), offset + len(piece))
                if not more:
                    break
                piece += more
        if len(piece) != length:
            raise Quarantined("the file ends within an element")
        return piece
