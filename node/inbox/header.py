"""What the first elements of a received file say: which study, whose, how encoded.

Read up to Series Instance UID (0020,000E), bounded in elements and in inflated bytes. `receive`
asks before it answers 0x0000, `process` when it adopts a file. PS3.10 7.1 and PS3.5 Annex A.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from pydicom.charset import convert_encodings, decode_bytes, python_encoding

from node.inbox.element_walk import LONG_HEADER, WINDOW, ElementWalk, ReadAt

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"

CHARACTER_SET, SOP_CLASS, SOP_INSTANCE, MODALITY = 0x00080005, 0x00080016, 0x00080018, 0x00080060
ACCESSION, PATIENT_ID, ISSUER = 0x00080050, 0x00100020, 0x00100021
STUDY, SERIES = 0x0020000D, 0x0020000E
META_SYNTAX, META_CALLING, META_CALLED = 0x00020010, 0x00020017, 0x00020018
_WANTED = frozenset({
    CHARACTER_SET, SOP_CLASS, SOP_INSTANCE, ACCESSION, MODALITY, PATIENT_ID, ISSUER, STUDY, SERIES,
})  # fmt: skip
_META_WANTED = frozenset({META_SYNTAX, META_CALLING, META_CALLED})

_BEGINNING = 2 * WINDOW
_MAX_INFLATED = 4 * 1024 * 1024
_PREFIX = 132  # 128 bytes of preamble and "DICM" (PS3.10 7.1)
_CODE = re.compile(r"[A-Z0-9_]{1,16}")
_UID = re.compile(r"[0-9.]{1,64}")


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
    accession_number: str = ""


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
    """Read the file's beginning at once: nearly always no more is asked for."""
    beginning = os.pread(fd, _BEGINNING, 0)

    def read_at(offset: int, length: int) -> bytes:
        if offset + length <= len(beginning):
            return beginning[offset : offset + length]
        return os.pread(fd, length, offset)

    return read_at


def _slices_of(data: bytes) -> ReadAt:
    return lambda offset, length: data[offset : offset + length]


def _read(read_at: ReadAt, size: int) -> Header:
    if read_at(0, _PREFIX)[128:] != b"DICM":
        raise Unreadable("the file has no DICM prefix")
    meta, dataset_offset, problem = ElementWalk(
        read_at, _PREFIX, _end_of_meta(read_at, size), "<", implicit=False
    ).run(_META_WANTED, last=0x0002FFFF)
    syntax = _uid(meta.get(META_SYNTAX, b""))
    start = dataset_offset
    if syntax == DEFLATED:
        inflated, fault = _inflate(read_at, start)
        read_at, start, size = _slices_of(inflated), 0, len(inflated)
        problem = problem or fault
    endian, implicit = ">" if syntax == BIG_ENDIAN else "<", syntax == IMPLICIT_LITTLE
    found, _, fault = ElementWalk(read_at, start, size, endian, implicit=implicit).run(
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
        modality=_code(found.get(MODALITY, b"")),
        specific_character_set=charset,
        calling_ae_title=_ascii(meta.get(META_CALLING, b"")),
        called_ae_title=_ascii(meta.get(META_CALLED, b"")),
        dataset_offset=dataset_offset,
        problem=problem or fault or fault_of_issuer,
        accession_number=_decoded(found.get(ACCESSION, b""), charset)[0],
    )


def _end_of_meta(read_at: ReadAt, size: int) -> int:
    """Tell where File Meta ends, if it says so: what follows it may be in any encoding."""
    first = read_at(_PREFIX, LONG_HEADER)
    if len(first) < LONG_HEADER or not first.startswith(b"\x02\0\0\0UL\x04\0"):
        return size
    end: int = _PREFIX + LONG_HEADER + struct.unpack_from("<I", first, 8)[0]
    return min(end, size)


def _inflate(read_at: ReadAt, start: int) -> tuple[bytes, str]:
    """Inflate the first bytes of a deflated dataset (PS3.5 A.5), bounded whatever it claims."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    out = bytearray()
    offset = start
    try:
        while len(out) < _MAX_INFLATED and not inflater.eof:
            chunk = read_at(offset, WINDOW)
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


def _code(value: bytes) -> str:
    """Give a code string (PS3.5 6.2, CS); what is none could be anything, a name, and is not told.

    Modality goes into logs, status and pages, which hold nothing of the patient.
    """
    code = _ascii(value)
    return code if _CODE.fullmatch(code) else ""


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
