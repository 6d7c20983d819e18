"""The pseudonym key: 32 random bytes in a file that only its owner reads.

Whoever has it can tell which pseudonym is whose. It is never logged; its fingerprint names it.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from pathlib import Path

from node import disk

KEY_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeyMissing(Exception):  # noqa: N818 -- a fact that the caller may answer by making one
    """There is no pseudonym key at this path."""


class KeyInvalid(Exception):  # noqa: N818 -- the sibling of KeyMissing
    """The pseudonym key's file is not what it must be; the message says how to mend it."""


def load_key(path: Path) -> bytes:
    """Read the key.

    Raises
    ------
    KeyMissing
        No file is there.
    KeyInvalid
        It is no plain file, others may read it, or it does not hold 32 bytes.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeyMissing(
            f"{path}: there is no pseudonym key; `deid-node keygen` makes one"
        ) from None
    except OSError as error:
        raise KeyInvalid(f"{path}: the pseudonym key cannot be read: {error.strerror}") from None
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            raise KeyInvalid(f"{path}: the pseudonym key is not a plain file")
        if mode & _OTHERS:
            raise KeyInvalid(f"{path}: others may read the pseudonym key; chmod 0600 it")
        key = os.read(fd, KEY_BYTES + 1)
    finally:
        os.close(fd)
    if len(key) != KEY_BYTES:
        raise KeyInvalid(f"{path}: a pseudonym key has {KEY_BYTES} bytes, this file has not")
    return key


def create_key(path: Path) -> bytes:
    """Make a new key and write it durably with mode 0600; FileExistsError if there is one."""
    key = secrets.token_bytes(KEY_BYTES)
    disk.write_durably(path, key, mode=0o600)
    return key


def fingerprint(key: bytes) -> str:
    """Name a key without telling it: 16 hex digits."""
    return hmac.digest(key, b"deid-node key fingerprint", "sha256").hex()[:16]
