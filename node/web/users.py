"""Who may sign in to the web role: a file with a line per person, passwords only as hashes.

`name:right:scrypt:n:r:p:salt:hash`, the last two in hex (RFC 7914; the cost is that of OWASP's
first recommendation). Written by `deid-node user add`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_N, _R, _P = 2**17, 8, 1
_MEMORY = 256 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_FIELDS = 8


class Right(StrEnum):
    """What a person may do."""

    #: See what the node does; no PHI.
    WATCH = "watch"
    #: See what is held, PHI included, and decide about it.
    DECIDE = "decide"


@dataclass(frozen=True, slots=True)
class User:
    """A person, a right, and what a password is checked against."""

    name: str
    right: Right
    hashed: str


class UsersInvalid(Exception):  # noqa: N818 -- a fact about the file
    """The users' file cannot be used; the message says why."""


def make_user(name: str, right: Right, password: str) -> User:
    """Make a user; ValueError if the name is none for a file of lines."""
    if not _NAME.fullmatch(name):
        raise ValueError("a user's name has letters, digits and . _ @ -, at most 64")
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, _N, _R, _P)
    return User(name, right, f"scrypt:{_N}:{_R}:{_P}:{salt.hex()}:{digest.hex()}")


#: Checked where there is no such user, so that the time of the answer tells nothing.
_NOBODY = User("", Right.WATCH, f"scrypt:{_N}:{_R}:{_P}:{'00' * 16}:{'00' * 32}")


def check_password(users: Mapping[str, User], name: str, password: str) -> User | None:
    """Give the user if name and password fit, else None; takes as long either way."""
    user = users.get(name, _NOBODY)
    _, n, r, p, salt, expected = user.hashed.split(":")
    digest = _scrypt(password, bytes.fromhex(salt), int(n), int(r), int(p))
    fits = hmac.compare_digest(digest, bytes.fromhex(expected))
    return user if fits and user is not _NOBODY else None


def read_users(path: Path) -> dict[str, User]:
    """Read the file; UsersInvalid with the number of the line that is wrong."""
    try:
        if path.stat().st_mode & 0o007:
            raise UsersInvalid(f"{path} is open to others: chmod 640 it")
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UsersInvalid(
            f"there is no {path}: `deid-node user add NAME --right decide` makes it"
        ) from None
    except OSError as error:
        raise UsersInvalid(f"{path} cannot be read: {error.strerror}") from None
    users = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            user = _read_line(line)
            if user is None:
                raise UsersInvalid(f"{path} line {number} is no user")
            users[user.name] = user
    return users


def write_users(path: Path, users: Mapping[str, User]) -> None:
    """Write the file anew, whole or not at all; its owner and group stay as they were."""
    lines = [f"{user.name}:{user.right}:{user.hashed}\n" for user in users.values()]
    part = path.with_name(f".{path.name}.part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o640)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        if path.exists():
            os.fchown(fd, path.stat().st_uid, path.stat().st_gid)
        file.writelines(lines)
        file.flush()
        os.fsync(fd)
    part.replace(path)


def _read_line(line: str) -> User | None:
    parts = line.strip().split(":")
    if len(parts) != _FIELDS or parts[1] not in set(Right) or parts[2] != "scrypt":
        return None
    try:
        [int(number) for number in parts[3:6]]
        [bytes.fromhex(text) for text in parts[6:]]
    except ValueError:
        return None
    return User(parts[0], Right(parts[1]), ":".join(parts[2:]))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)
