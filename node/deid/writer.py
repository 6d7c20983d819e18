"""Pieces of an instance to a file: bytes that we made, and ranges that go over as they are."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from node import disk
from node.deid.source import Source

#: Bytes, or (offset, length) in the source.
Piece = bytes | tuple[int, int]

_CHUNK = 1024 * 1024
#: The kernel or the filesystem cannot copy between these two files.
_CANNOT_COPY = {errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}


def write_file(target: Path, pieces: Iterable[Piece], source: Source) -> int:
    """Write a new file and return its length in bytes; nothing is left of it if that fails.

    FileExistsError if the name is taken. The caller syncs.
    """
    fd = disk.create_exclusive(target)
    try:
        try:
            return _write(fd, pieces, source)
        finally:
            os.close(fd)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _write(fd: int, pieces: Iterable[Piece], source: Source) -> int:
    waiting: list[bytes] = []  # a call for each would cost more than its bytes
    total = 0
    for piece in pieces:
        if isinstance(piece, bytes):
            waiting.append(piece)
            total += len(piece)
            continue
        _write_all(fd, b"".join(waiting))
        waiting.clear()
        _copy(fd, source, *piece)
        total += piece[1]
    if content := b"".join(waiting):  # mostly nothing: pixel data come last, from the source
        _write_all(fd, content)
    return total


def _write_all(fd: int, content: bytes | memoryview) -> None:
    done = os.write(fd, content)
    while done < len(content):
        done += os.write(fd, memoryview(content)[done:])


def _copy(fd: int, source: Source, offset: int, length: int) -> None:
    end = offset + length
    if source.fd < 0:
        _write_all(fd, memoryview(source.memory)[offset:end])
        return
    while offset < end:
        try:
            done = os.copy_file_range(source.fd, fd, end - offset, offset)
        except OSError as error:
            if error.errno not in _CANNOT_COPY:
                raise
            done = 0
        if done == 0:
            chunk = source.read(offset, min(_CHUNK, end - offset))
            _write_all(fd, chunk)
            done = len(chunk)
        offset += done
