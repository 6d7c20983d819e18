"""The originals as files: where one lies, and the digest by which two are the same."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from node.inbox.layout import Inbox

_WINDOW = 1024 * 1024


def original(inbox: Inbox, study: str, instance: str) -> Path:
    """Give the path of an adopted original."""
    return inbox.studies / study / f"{instance}.dcm"


def dataset_digest(path: Path) -> str:
    """Give the SHA-256 (hex) over a file's dataset bytes, its File Meta left out.

    The transfer syntax is no part of it: the same bytes in two syntaxes are not one dataset, but
    no encoder makes them so.
    """
    from node.inbox.header import read_header  # noqa: PLC0415 -- who asks for a path needs no pydicom

    digest = hashlib.sha256()
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
    return digest.hexdigest()
