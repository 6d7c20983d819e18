"""A strict reader of DICOM files, the validator's own: it accounts for every byte of a file.

It shares no code with the engine, so that one misreading cannot hide in both. PS3.10 7.1 (preamble,
File Meta), PS3.5 Annex A (transfer syntaxes); the data set itself is read by `dataset`. What it
does not know it refuses (`Unreadable`); what is readable but not as it should be is noted in
`Parsed.oddities`, which an original may have and an output may not.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from dataclasses import dataclass

from node.validate.coding import BIG_ENDIAN, EXPLICIT, IMPLICIT, Coding
from node.validate.dataset import read_elements
from node.validate.elements import VRS, Item, Unreadable
from node.validate.file import Buffer, File, first

MAX_INFLATED = 1 << 30  # bytes
IMPLICIT_LE, EXPLICIT_LE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95"})
_SYNTAX_ROOT = "1.2.840.10008.1.2."
#: A File Meta that claims to be longer is refused, whatever comes after it: real ones have less
#: than a kilobyte.
_LONGEST_META = 1 << 17
#: How many times as many bytes are read where a header goes on beyond those read first.
_MORE = 8
#: Bytes that are read first: as many as the longest header needed until now. A series has headers
#: alike, and one that is cut off is walked twice; a worker ends with its run, so that nothing makes
#: it less. It is in a list for functions to set it.
_enough = [1 << 14]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A file, read to its last byte. Offsets count in `data` (inflated if it was deflated).

    `begin` is where the data set begins in the file.
    """

    data: Buffer
    begin: int
    preamble: bytes
    meta: Item
    syntax: str
    big_endian: bool
    dataset: Item
    oddities: tuple[str, ...]


def parse(file: Buffer) -> Parsed:
    """Read a whole file. Of its pixel data nothing is read but where they lie.

    Raises
    ------
    Unreadable
        With the place and the kind of the fault.
    """
    oddities: list[str] = []
    preamble, meta, begin = _read_meta(file, _enough[0], oddities)
    syntax = meta.value(0x00020010).rstrip(b"\0 ").decode("ascii", "replace")
    if not meta.by_tag:
        syntax = _guess_syntax(file[:6])
    if syntax != IMPLICIT_LE and not syntax.startswith(_SYNTAX_ROOT):
        raise Unreadable("the transfer syntax is not one that DICOM defines")
    data, pos = file, begin
    if syntax in DEFLATED:
        data, pos = _inflate(file[begin:], oddities), 0
    coding = IMPLICIT if syntax == IMPLICIT_LE else EXPLICIT
    if syntax == EXPLICIT_BE:
        coding = BIG_ENDIAN
    dataset = _read_dataset(data, pos, coding, oddities)
    return Parsed(
        data, begin, preamble, meta, syntax, coding is BIG_ENDIAN, dataset, tuple(oddities)
    )


def _read_dataset(data: Buffer, begin: int, coding: Coding, oddities: list[str]) -> Item:
    """Read all of a data set, or no more than it takes where only pixel data lie beyond."""
    length = _enough[0] if isinstance(data, File) else len(data)
    while length < len(data):
        noted: list[str] = []
        with suppress(Unreadable):  # it may be that the header only goes on
            head = first(data, length)
            dataset, pos = read_elements(head, begin, length, coding, 0, noted, whole=data)
            if pos == len(data):
                oddities += noted
                _enough[0] = length
                return dataset
        length *= _MORE
    dataset, pos = read_elements(first(data, len(data)), begin, len(data), coding, 0, oddities)
    if pos != len(data):
        oddities.append(f"bytes after the data set, from offset {pos}")
    return dataset


def _read_meta(file: Buffer, length: int, oddities: list[str]) -> tuple[bytes, Item, int]:
    """Read preamble and File Meta (PS3.10 7.1); give where the data set begins.

    `length` is how much is looked at: more, where the File Meta does not end in it.
    """
    data = first(file, length)
    if data[128:132] != b"DICM":
        oddities.append("no preamble and prefix")
        return b"", Item(), 0
    end = pos = 132
    while data[end : end + 2] == b"\2\0":
        header = data[end : end + 12]
        long = VRS.get(header[4:6], ("", False))[1]
        value_length = header[8:12] if long else header[6:8]
        end += (12 if long else 8) + int.from_bytes(value_length, "little")
    if end > min(len(file), _LONGEST_META):
        raise Unreadable("the File Meta goes past the end of the file, or is longer than any")
    if len(data) < end + 2 and len(data) < len(file):  # what follows was not read yet
        return _read_meta(file, length * _MORE, oddities)
    meta, _ = read_elements(data, pos, end, EXPLICIT, 0, oddities)
    return data[:128], meta, end


def _guess_syntax(data: bytes) -> str:
    """Tell the coding of a data set without File Meta by whether there are VR letters."""
    return EXPLICIT_LE if data[4:6] in VRS else IMPLICIT_LE


def _inflate(data: bytes, oddities: list[str]) -> bytes:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = stream.decompress(data, MAX_INFLATED)
    except zlib.error:
        raise Unreadable("the deflated data set is damaged") from None
    if not stream.eof:
        raise Unreadable("the deflated data set is cut short or larger than we inflate")
    if stream.unused_data.strip(b"\0"):
        oddities.append("bytes after the deflated data set")
    return inflated
