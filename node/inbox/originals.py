"""The originals as files: where one lies, and the digest by which two are the same."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from node.inbox.header import read_header
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
    offset = read_header(path).dataset_offset
    digest = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        while window := os.pread(fd, _WINDOW, offset):
            digest.update(window)
            offset += len(window)
    finally:
        os.close(fd)
    return digest.hexdigest()
