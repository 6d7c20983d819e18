"""The durable steps of every path: open, write, fsync, rename, fsync of the directory.

Receive, process and forward take these steps through this file alone, so that one place is read
to know what "durable" means here, and one place is replaced to inject a fault or record a trace.
An error of fsync is never retried on the same file (what the kernel dropped stays dropped).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from pathlib import Path

from node import failpoint

_RENAME_NOREPLACE = 1
_AT_FDCWD = -100
_SYNC_FILE_RANGE_WRITE = 2
_libc = ctypes.CDLL(None, use_errno=True)
_libc.sync_file_range.argtypes = ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint
_libc.renameat2.argtypes = (
    ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint
)  # fmt: skip

#: Where a file is; a text on the path of every instance, where making paths of it costs time.
Where = Path | str


class AlreadyLocked(Exception):  # noqa: N818 -- a fact, not an accident
    """Another process holds this lock."""


def create_exclusive(path: Where, mode: int = 0o600) -> int:
    """Create a file that must not exist and return its descriptor; no symlink is followed."""
    failpoint.reach("before create", path)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, mode)


def write(fd: int, *pieces: bytes | bytearray | memoryview) -> None:
    """Write all the pieces, in order, where the descriptor stands; at most 1,024 (IOV_MAX)."""
    written = os.writev(fd, pieces)
    for piece in pieces:
        left = memoryview(piece)[written:]
        written = max(0, written - len(piece))
        while left:
            left = left[os.write(fd, left) :]


def fsync(fd: int) -> None:
    """Make a file's bytes survive a power cut."""
    failpoint.reach("before fsync", fd)
    os.fsync(fd)


def write_back(fd: int, start: int, length: int) -> None:
    """Begin to write these bytes out, so that the fsync to come has less to wait for.

    With a length of 0, all from `start`. It promises nothing; a filesystem that cannot is no
    failure, one that fails is.
    """
    failed = _libc.sync_file_range(fd, start, length, _SYNC_FILE_RANGE_WRITE)
    if failed and (code := ctypes.get_errno()) not in (errno.ENOSYS, errno.EINVAL):
        raise OSError(code, os.strerror(code))


def begin_writing_back(path: Path) -> None:
    """Begin to write out all of a file that is open no more: see `write_back`."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        write_back(fd, 0, 0)
    finally:
        os.close(fd)


def fsync_dir(path: Where) -> None:
    """Make the names in a directory survive a power cut."""
    failpoint.reach("before fsync of", f"{path}/its names")
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def rename_noreplace(source: Where, target: Where) -> None:
    """Rename a file or a folder; FileExistsError if the target's name is taken."""
    failpoint.reach("before rename to", target)
    result = _libc.renameat2(
        _AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE
    )
    if result == 0:
        failpoint.reach("after rename to", target)
        return
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS) and Path(source).is_file():
        # This filesystem knows no flag: a hard link refuses a taken name just as well.
        os.link(source, target, follow_symlinks=False)
        Path(source).unlink()
        return
    raise OSError(code, os.strerror(code), os.fspath(source), None, os.fspath(target))


def write_durably(path: Path, content: bytes, mode: int = 0o640) -> None:
    """Write a small file under its final name so that a reader sees all of it or nothing.

    FileExistsError if the name is taken.
    """
    write_whole(path, content, mode)
    fsync_dir(path.parent)


def write_whole(path: Path, content: bytes, mode: int = 0o640) -> None:
    """Do the same, but for the name, which is durable only when its folder is fsynced."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)
    fd = create_exclusive(temporary, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            fsync(file.fileno())
        rename_noreplace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def lock_file(path: Path) -> int:
    """Take a role's lock for as long as the returned descriptor is open.

    Raises AlreadyLocked when another process has it; the kernel frees it however that one ends.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise AlreadyLocked(os.fspath(path)) from None
    return fd


def is_locked(path: Path) -> bool:
    """Tell whether somebody holds the lock of this file or folder."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
