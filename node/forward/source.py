"""Released files as they are read for sending: what is sent is what was hashed.

A file up to WHOLE_LIMIT is read once into a buffer that is used again, hashed there and sent from
there. A larger one is hashed, then hashed again while it is sent, and its last piece is withheld
until both digests are the manifest's.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from node.forward.batch import Item

WHOLE_LIMIT = 64 * 1024 * 1024
#: How much is handed on, and said to be sent, at a time.
PIECE = 1024 * 1024
#: Buffers grow in steps, so that files of about one size share one.
_ROUNDED_TO = 64 * 1024
_META_LIMIT = 4096
_META_START = 132
_META_GROUP = 0x0002
_LONG_VRS = frozenset({b"OB", b"OW", b"UN", b"UT", b"SQ", b"UC", b"UR"})
_SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX = 0x0002, 0x0003, 0x0010


class FileAltered(Exception):  # noqa: N818 -- a fact about the file
    """A released file is not what its manifest says; it is not sent, and a person must look."""


@dataclass(frozen=True, slots=True)
class Source:
    """A released file that was found to be what its manifest says.

    `dataset_offset` is where the data set starts, behind preamble and File Meta; `pieces(start)`
    gives the bytes from there to the end, each view valid until the next is asked for.
    """

    item: Item
    dataset_offset: int
    pieces: Callable[[int], Iterator[memoryview]]


class Reader:
    """One sender's reader, with the buffer that it uses again and again."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def _view(self, count: int) -> memoryview:
        if len(self._buffer) < count:
            self._buffer = bytearray(-(-count // _ROUNDED_TO) * _ROUNDED_TO)
        return memoryview(self._buffer)[:count]

    @contextmanager
    def open(self, item: Item) -> Iterator[Source]:
        """Open an item's file and check it.

        Raises
        ------
        FileAltered
            If it is missing, no plain file, of another size or digest, or its File Meta is not
            what the manifest says. From `pieces`, if it changes while it is read.
        """
        fd = _open_plain(item)
        try:
            if item.bytes <= WHOLE_LIMIT:
                yield self._whole(fd, item)
            else:
                yield self._streamed(fd, item)
        finally:
            os.close(fd)

    def _whole(self, fd: int, item: Item) -> Source:
        view = self._view(item.bytes)
        _read_into(fd, view)
        if hashlib.sha256(view).hexdigest() != item.sha256:
            raise FileAltered("the file's digest is not the manifest's")
        offset = _check_meta(view, item)

        def pieces(start: int) -> Iterator[memoryview]:
            for place in range(start, item.bytes, PIECE):
                yield view[place : place + PIECE]

        return Source(item, offset, pieces)

    def _streamed(self, fd: int, item: Item) -> Source:
        view = self._view(PIECE)
        offset = 0
        digest = hashlib.sha256()
        for place in range(0, item.bytes, PIECE):
            piece = view[: min(PIECE, item.bytes - place)]
            _read_into(fd, piece)
            digest.update(piece)
            if place == 0:
                offset = _check_meta(piece, item)
        if digest.hexdigest() != item.sha256:
            raise FileAltered("the file's digest is not the manifest's")

        def pieces(start: int) -> Iterator[memoryview]:
            os.lseek(fd, 0, os.SEEK_SET)
            again = hashlib.sha256()
            for place in range(0, item.bytes, PIECE):
                piece = view[: min(PIECE, item.bytes - place)]
                _read_into(fd, piece)
                again.update(piece)
                is_last = place + PIECE >= item.bytes
                if is_last and again.hexdigest() != item.sha256:
                    raise FileAltered("the file changed while it was sent")
                if place + len(piece) > start:
                    yield piece[max(0, start - place) :]

        return Source(item, offset, pieces)


def _open_plain(item: Item) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        fd = os.open(item.path, flags)
    except OSError as error:
        raise FileAltered(f"the file cannot be opened: {error.strerror}") from None
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_size != item.bytes:
        os.close(fd)
        raise FileAltered("the file's size is not the manifest's")
    return fd


def _read_into(fd: int, view: memoryview) -> None:
    done = 0
    while done < len(view):
        count = os.readv(fd, [view[done:]])
        if count == 0:
            raise FileAltered("the file is shorter than the manifest says")
        done += count


def _check_meta(start: memoryview, item: Item) -> int:
    """Hold the File Meta (PS3.10 7.1) against the manifest and give the data set's offset."""
    found, offset = _read_meta(bytes(start[:_META_LIMIT]))
    said = {
        _SOP_CLASS: item.sop_class_uid,
        _SOP_INSTANCE: item.sop_instance_uid,
        _TRANSFER_SYNTAX: item.transfer_syntax_uid,
    }
    if found != said:
        raise FileAltered("the file's own header is not what the manifest says of it")
    return offset


def _read_meta(prefix: bytes) -> tuple[dict[int, str], int]:
    """Read the three UIDs of a File Meta and where it ends."""
    if prefix[128:_META_START] != b"DICM":
        raise FileAltered("the file is not a DICOM file")
    found: dict[int, str] = {}
    place = _META_START
    try:
        while True:
            group, element, vr = struct.unpack_from("<HH2s", prefix, place)
            if group != _META_GROUP:
                return found, place
            if vr in _LONG_VRS:
                (length,) = struct.unpack_from("<I", prefix, place + 8)
                value = place + 12
            else:
                (length,) = struct.unpack_from("<H", prefix, place + 6)
                value = place + 8
            if element in (_SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX):
                found[element] = prefix[value : value + length].rstrip(b"\0 ").decode("ascii")
            place = value + length
    except (struct.error, UnicodeDecodeError):
        raise FileAltered("the file's header does not parse") from None
