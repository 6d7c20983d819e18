"""What the first elements of a received file say: which study, whose, how encoded.

A walk over top-level elements up to Series Instance UID (0020,000E), bounded in elements and in
inflated bytes, that never recurses and never builds a dataset. `receive` asks it before it answers
0x0000, `process` when it adopts a file. Encodings: PS3.5 7.1 and 7.5, PS3.10 7.1, PS3.5 Annex A.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydicom.charset import convert_encodings, decode_bytes, python_encoding

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"

CHARACTER_SET, SOP_CLASS, SOP_INSTANCE, MODALITY = 0x00080005, 0x00080016, 0x00080018, 0x00080060
PATIENT_ID, ISSUER, STUDY, SERIES = 0x00100020, 0x00100021, 0x0020000D, 0x0020000E
META_SYNTAX, META_CALLING, META_CALLED = 0x00020010, 0x00020017, 0x00020018
_WANTED = frozenset(
    {CHARACTER_SET, SOP_CLASS, SOP_INSTANCE, MODALITY, PATIENT_ID, ISSUER, STUDY, SERIES}
)
_META_WANTED = frozenset({META_SYNTAX, META_CALLING, META_CALLED})

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_LONG_VR = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # PS3.5 7.1.2
_SHORT_VR = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)  # PS3.5 7.1.2

_WINDOW = 65536
_SHORT_HEADER, _LONG_HEADER = 8, 12  # PS3.5 7.1.2
_MAX_ELEMENTS = 100_000
_MAX_VALUE = 4096
_MAX_INFLATED = 4 * 1024 * 1024
_PREFIX = 132  # 128 bytes of preamble and "DICM" (PS3.10 7.1)
_UID = re.compile(r"[0-9.]{1,64}")

#: `read_at(offset, length)` gives at most that many bytes of the source, less only at its end.
ReadAt = Callable[[int, int], bytes]


class Unreadable(Exception):  # noqa: N818 -- a fact about the file
    """The file names no study or no SOP instance; the text says why and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first elements of a file. An absent value is an empty text."""

    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    issuer_of_patient_id: str
    modality: str
    specific_character_set: str
    calling_ae_title: str
    called_ae_title: str
    dataset_offset: int
    #: What is wrong with this part of the file, in words without values; empty if nothing is.
    problem: str


def is_uid(text: str) -> bool:
    """Tell whether a text is 1 to 64 of [0-9.]; leading zeros of components are tolerated."""
    return _UID.fullmatch(text) is not None


def read_header(source: Path | int | bytes) -> Header:
    """Read the header of a DICOM file given by path, open descriptor, or its first bytes.

    Raises
    ------
    Unreadable
        No preamble, or no valid Study or SOP Instance UID before the walk ended.
    OSError
        The file cannot be read.
    """
    if isinstance(source, Path):
        fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return _read(_reader_of(fd), os.fstat(fd).st_size)
        finally:
            os.close(fd)
    if isinstance(source, int):
        return _read(_reader_of(source), os.fstat(source).st_size)
    return _read(_slices_of(source), len(source))


def _reader_of(fd: int) -> ReadAt:
    return lambda offset, length: os.pread(fd, length, offset)


def _slices_of(data: bytes) -> ReadAt:
    return lambda offset, length: data[offset : offset + length]


def _read(read_at: ReadAt, size: int) -> Header:
    if read_at(0, _PREFIX)[128:] != b"DICM":
        raise Unreadable("the file has no DICM prefix")
    meta, dataset_offset, problem = _Walk(
        read_at, _PREFIX, _end_of_meta(read_at, size), "<", implicit=False
    ).run(_META_WANTED, last=0x0002FFFF)
    syntax = _uid(meta.get(META_SYNTAX, b""))
    start = dataset_offset
    if syntax == DEFLATED:
        inflated, fault = _inflate(read_at, start)
        read_at, start, size = _slices_of(inflated), 0, len(inflated)
        problem = problem or fault
    endian = ">" if syntax == BIG_ENDIAN else "<"
    found, _, fault = _Walk(read_at, start, size, endian, implicit=syntax == IMPLICIT_LITTLE).run(
        _WANTED, last=SERIES
    )
    problem = problem or fault
    for tag, name in ((STUDY, "Study"), (SOP_INSTANCE, "SOP")):
        if not is_uid(_uid(found.get(tag, b""))):
            reason = f"; {problem}" if problem else ""
            raise Unreadable(f"the {name} Instance UID is missing or is not a UID{reason}")
    charset = _ascii(found.get(CHARACTER_SET, b""))
    patient_id, fault = _decoded(found.get(PATIENT_ID, b""), charset)
    issuer, fault_of_issuer = _decoded(found.get(ISSUER, b""), charset)
    return Header(
        transfer_syntax_uid=syntax,
        sop_class_uid=_uid(found.get(SOP_CLASS, b"")),
        sop_instance_uid=_uid(found[SOP_INSTANCE]),
        study_instance_uid=_uid(found[STUDY]),
        series_instance_uid=_uid(found.get(SERIES, b"")),
        patient_id=patient_id,
        issuer_of_patient_id=issuer,
        modality=_ascii(found.get(MODALITY, b"")),
        specific_character_set=charset,
        calling_ae_title=_ascii(meta.get(META_CALLING, b"")),
        called_ae_title=_ascii(meta.get(META_CALLED, b"")),
        dataset_offset=dataset_offset,
        problem=problem or fault or fault_of_issuer,
    )


def _end_of_meta(read_at: ReadAt, size: int) -> int:
    """Tell where File Meta ends, if it says so: what follows it may be in any encoding."""
    first = read_at(_PREFIX, _LONG_HEADER)
    if len(first) < _LONG_HEADER or not first.startswith(b"\x02\0\0\0UL\x04\0"):
        return size
    end: int = _PREFIX + _LONG_HEADER + struct.unpack_from("<I", first, 8)[0]
    return min(end, size)


class _Walk:
    """One pass over a run of elements, with a window of the source in memory."""

    def __init__(
        self, read_at: ReadAt, start: int, size: int, endian: str, *, implicit: bool
    ) -> None:
        self.read_at, self.size = read_at, size
        self.base, self.pos, self.data = start, 0, read_at(start, _WINDOW)
        self.tag_of = struct.Struct(endian + "HH").unpack_from
        self.u16 = struct.Struct(endian + "H").unpack_from
        self.u32 = struct.Struct(endian + "I").unpack_from
        # Undefined lengths that are open: (tag that ends it, encoding outside it).
        self.open: list[tuple[int, bool]] = []
        self.implicit = implicit

    def run(self, wanted: frozenset[int], last: int) -> tuple[dict[int, bytes], int, str]:
        """Give the wanted values at top level, where `last` was passed, and what went wrong."""
        found: dict[int, bytes] = {}
        previous = 0
        for _ in range(_MAX_ELEMENTS):
            at = self.base + self.pos
            if at >= self.size:
                return found, at, "a sequence does not end" if self.open else ""
            if self.pos + _LONG_HEADER > len(self.data):
                self._refill()
            if len(self.data) - self.pos < _SHORT_HEADER:
                return found, at, "the file ends inside an element"
            group, element = self.tag_of(self.data, self.pos)
            tag = group << 16 | element
            if not self.open:
                if tag > last:
                    return found, at, ""
                if tag <= previous:
                    return found, at, "elements are not in ascending order"
                previous = tag
            fault = self._element(tag, found if tag in wanted else None)
            if fault:
                return found, at, fault
        return found, self.base + self.pos, "there are too many elements before the Study"

    def _refill(self) -> None:
        self.base += self.pos
        self.pos = 0
        self.data = self.read_at(self.base, _WINDOW)

    def _element(self, tag: int, found: dict[int, bytes] | None) -> str:
        """Step over one element, keeping its value if asked; say what is wrong with it."""
        data, pos = self.data, self.pos
        if tag >> 16 == _ITEM >> 16:
            return self._item(tag, self.u32(data, pos + 4)[0])
        implicit_inside = self.implicit
        if self.implicit:
            header, length = _SHORT_HEADER, self.u32(data, pos + 4)[0]
        else:
            vr = data[pos + 4 : pos + 6]
            if vr in _SHORT_VR:
                header, length = _SHORT_HEADER, self.u16(data, pos + 6)[0]
            elif vr not in _LONG_VR:
                return "an element has an unknown VR"
            elif len(data) - pos < _LONG_HEADER:
                return "the file ends inside an element"
            else:
                header, length = _LONG_HEADER, self.u32(data, pos + 8)[0]
                # PS3.5 6.2.2: what stands in a UN of undefined length is Implicit VR.
                implicit_inside = vr == b"UN"
        self.pos = pos + header
        if length == _UNDEFINED:
            self.open.append((_SEQUENCE_END, self.implicit))
            self.implicit = implicit_inside
            return ""
        return self._value(tag, length, found)

    def _item(self, tag: int, length: int) -> str:
        """Step over an item's or a delimiter's header; a closed item is stepped over whole."""
        self.pos += _SHORT_HEADER
        if tag == _ITEM:
            if not self.open:
                return "an item stands outside a sequence"
            if length != _UNDEFINED:
                return self._value(tag, length, None)
            self.open.append((_ITEM_END, self.implicit))
            return ""
        if not self.open or self.open[-1][0] != tag:
            return "a delimiter stands where nothing is open"
        _, self.implicit = self.open.pop()
        return ""

    def _value(self, tag: int, length: int, found: dict[int, bytes] | None) -> str:
        if self.base + self.pos + length > self.size:
            return "a value reaches past the end of the file"
        if found is not None and not self.open:
            if length > _MAX_VALUE:
                return "an identifying value is too long"
            if self.pos + length > len(self.data):
                self._refill()
            found[tag] = self.data[self.pos : self.pos + length]
        self.pos += length
        return ""


def _inflate(read_at: ReadAt, start: int) -> tuple[bytes, str]:
    """Inflate the first bytes of a deflated dataset (PS3.5 A.5), bounded whatever it claims."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    out = bytearray()
    offset = start
    try:
        while len(out) < _MAX_INFLATED and not inflater.eof:
            chunk = read_at(offset, _WINDOW)
            if not chunk:
                return bytes(out), "the deflated dataset is truncated"
            offset += len(chunk)
            out += inflater.decompress(chunk, _MAX_INFLATED - len(out))
    except zlib.error:
        return bytes(out), "the deflated dataset is damaged"
    return bytes(out), ""


def _uid(value: bytes) -> str:
    return value.rstrip(b"\0 ").decode("ascii", "replace")


def _ascii(value: bytes) -> str:
    return value.strip(b"\0 ").decode("ascii", "replace")


def _decoded(value: bytes, charset: str) -> tuple[str, str]:
    """Decode by the declared character set (PS3.3 C.12.1.1.2); what is not decodable is escaped."""
    value = value.strip(b"\0 ")
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii"), ""
    terms = [term.strip() for term in charset.split("\\")]
    if not charset or any(term not in python_encoding for term in terms):
        return value.decode("ascii", "backslashreplace"), "the character set is not known"
    encodings = convert_encodings(terms)
    try:
        if b"\x1b" not in value:
            return value.decode(encodings[0]).strip(), ""
        return decode_bytes(value, encodings, set()).strip(), ""
    except (UnicodeError, LookupError):
        return value.decode("ascii", "backslashreplace"), "a value is not in its character set"
