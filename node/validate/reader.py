"""A strict reader of DICOM files, the validator's own: it accounts for every byte of a file.

It shares no code with the engine, so that one misreading cannot hide in both. PS3.10 7.1 (preamble,
File Meta), PS3.5 Annex A (transfer syntaxes); the data set itself is read by `dataset`. What it
does not know it refuses (`Unreadable`); what is readable but not as it should be is noted in
`Parsed.oddities`, which an original may have and an output may not.
"""

from __future__ import annotations

import mmap
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from node.validate.dataset import BIG_ENDIAN, EXPLICIT, IMPLICIT, read_elements
from node.validate.elements import VRS, Buffer, Item, Unreadable

MAX_INFLATED = 1 << 30  # bytes
IMPLICIT_LE, EXPLICIT_LE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95"})
_SYNTAX_ROOT = "1.2.840.10008.1.2."


@dataclass(frozen=True, slots=True)
class Parsed:
    """A file, read to its last byte. Offsets count in `data` (inflated if it was deflated)."""

    data: Buffer
    preamble: bytes
    meta: Item
    syntax: str
    big_endian: bool
    dataset: Item
    oddities: tuple[str, ...]


def open_file(path: Path) -> Buffer:
    """Map a file into memory. An empty file gives empty bytes."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return mmap.mmap(fd, 0, access=mmap.ACCESS_READ) if os.fstat(fd).st_size else b""
    finally:
        os.close(fd)


def parse(data: Buffer) -> Parsed:
    """Read a whole file.

    Raises
    ------
    Unreadable
        With the place and the kind of the fault.
    """
    oddities: list[str] = []
    preamble, meta, pos = _read_meta(data, oddities)
    syntax = meta.value(0x00020010).rstrip(b"\0 ").decode("ascii", "replace")
    if not meta.by_tag:
        syntax = _guess_syntax(data)
    if syntax != IMPLICIT_LE and not syntax.startswith(_SYNTAX_ROOT):
        raise Unreadable("the transfer syntax is not one that DICOM defines")
    if syntax in DEFLATED:
        data, pos = _inflate(data, pos, oddities), 0
    coding = IMPLICIT if syntax == IMPLICIT_LE else EXPLICIT
    if syntax == EXPLICIT_BE:
        coding = BIG_ENDIAN
    dataset, pos = read_elements(data, pos, len(data), coding, 0, oddities)
    if pos != len(data):
        oddities.append(f"bytes after the data set, from offset {pos}")
    return Parsed(data, preamble, meta, syntax, coding is BIG_ENDIAN, dataset, tuple(oddities))


def _read_meta(data: Buffer, oddities: list[str]) -> tuple[bytes, Item, int]:
    """Read preamble and File Meta (PS3.10 7.1); give where the data set begins."""
    if data[128:132] != b"DICM":
        oddities.append("no preamble and prefix")
        return b"", Item(), 0
    end = pos = 132
    while data[end : end + 2] == b"\2\0":
        header = data[end : end + 12]
        long = VRS.get(header[4:6], ("", False))[1]
        length = header[8:12] if long else header[6:8]
        end += (12 if long else 8) + int.from_bytes(length, "little")
    if end > len(data):
        raise Unreadable("the File Meta goes past the end of the file")
    meta, _ = read_elements(data, pos, end, EXPLICIT, 0, oddities)
    return data[:128], meta, end


def _guess_syntax(data: Buffer) -> str:
    """Tell the coding of a data set without File Meta by whether there are VR letters."""
    return EXPLICIT_LE if data[4:6] in VRS else IMPLICIT_LE


def _inflate(data: Buffer, pos: int, oddities: list[str]) -> bytes:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = stream.decompress(data[pos:], MAX_INFLATED)
    except zlib.error:
        raise Unreadable("the deflated data set is damaged") from None
    if not stream.eof:
        raise Unreadable("the deflated data set is cut short or larger than we inflate")
    if stream.unused_data.strip(b"\0"):
        oddities.append("bytes after the deflated data set")
    return inflated
