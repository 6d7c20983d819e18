"""The digest of a dataset's bytes as received, by which a copy is known when the original is gone.

Only the node itself reads it, for every file once, so it is the quickest of the sound ones: BLAKE3.
A digest says how it was made (`blake3:…`); what says nothing is SHA-256, as in the oldest rows.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Protocol

from blake3 import blake3

from node.inbox.header import read_header

_SCHEME = "blake3:"
_WINDOW = 1024 * 1024


class _Hash(Protocol):
    def update(self, data: bytes | memoryview, /) -> object: ...

    def hexdigest(self) -> str: ...


class DatasetDigest:
    """The digest of bytes that go by, made as `like` was; ValueError if that is not known."""

    __slots__ = ("_hash", "_scheme")

    def __init__(self, like: str = _SCHEME) -> None:
        scheme, colon, _ = like.rpartition(":")
        self._scheme = scheme + colon
        if self._scheme not in ("", _SCHEME):
            raise ValueError("a dataset's digest was made in a way that this version does not know")
        self._hash: _Hash = blake3() if self._scheme else hashlib.sha256()

    def update(self, data: bytes | memoryview) -> None:
        """Take the bytes that follow."""
        self._hash.update(data)

    def text(self) -> str:
        """Give the digest of all bytes so far."""
        return self._scheme + self._hash.hexdigest()


def dataset_digest(path: Path, like: str = _SCHEME) -> str:
    """Give the digest of a file's dataset, its File Meta left out, made as another one was.

    The transfer syntax is no part of it: the same bytes in two syntaxes are not one dataset, but
    no encoder makes them so.
    """
    digest = DatasetDigest(like)
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        offset = read_header(fd).dataset_offset
        # One window for the whole file: fresh memory for each would cost as much as the hash.
        window = memoryview(bytearray(min(_WINDOW, os.fstat(fd).st_size)))
        while length := os.preadv(fd, [window], offset):
            digest.update(window[:length])
            offset += length
    finally:
        os.close(fd)
    return digest.text()
