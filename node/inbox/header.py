"""What the first elements of a received file say: which study, whose, how encoded.

Read up to Series Instance UID (0020,000E), bounded in elements and in inflated bytes. `receive`
asks before it answers 0x0000, `process` when it adopts a file. PS3.10 7.1 and PS3.5 Annex A.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from node.inbox.element_walk import (
    LONG_HEADER,
    MOST_STEPS,
    WINDOW,
    ElementWalk,
    Place,
    ReadAt,
)
from node.inbox.header_values import ascii_text, code, decoded, is_uid, uid
from node.inbox.skeleton import Skeleton, are_in_order

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
_MARK, _LENGTH_OF_META = (128, 4), (140, 4)
#: Instances of so many kinds may come in turn and be read quickly.
_MOST_SKELETONS = 8


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


def read_header(source: Path | int | bytes) -> Header:
    """Read the header of one file: see HeaderReader.read."""
    return HeaderReader().read(source)


class HeaderReader:
    """Reads one header after the other, quickly where the elements stand as in one before."""

    def __init__(self) -> None:
        self._skeletons: deque[Skeleton] = deque(maxlen=_MOST_SKELETONS)

    def read(self, source: Path | int | bytes) -> Header:
        """Read the header of a DICOM file given by path, open descriptor, or its first bytes.

        Raises
        ------
        Unreadable
            No preamble, or no valid Study or SOP Instance UID before the walk ended.
        OSError
            The file cannot be read.
        """
        if isinstance(source, bytes):
            return self._alike(source) or self._walk(source, _slices_of(source), len(source))
        if isinstance(source, int):
            return self._read_open(source)
        fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return self._read_open(fd)
        finally:
            os.close(fd)

    def _read_open(self, fd: int) -> Header:
        # At once: nearly always no more is asked for.
        beginning = os.pread(fd, _BEGINNING, 0)

        def read_at(offset: int, length: int) -> bytes:
            if offset + length <= len(beginning):
                return beginning[offset : offset + length]
            return os.pread(fd, length, offset)

        return self._alike(beginning) or self._walk(beginning, read_at, os.fstat(fd).st_size)

    def _alike(self, beginning: bytes) -> Header | None:
        """Give the header of a file that is built as one before; None where it is not."""
        for skeleton in self._skeletons:
            values = skeleton.values_in(beginning)
            if values is not None:
                return _header(values, skeleton.dataset_offset, "")
        return None

    def _walk(self, beginning: bytes, read_at: ReadAt, size: int) -> Header:
        if read_at(0, _PREFIX)[128:] != b"DICM":
            raise Unreadable("the file has no DICM prefix")
        end_of_meta = _end_of_meta(read_at, size)
        meta = ElementWalk(read_at, _PREFIX, end_of_meta, "<", implicit=False)
        places, offset, problem = meta.run(_META_WANTED, last=0x0002FFFF)
        values = {tag: read_at(*place) for tag, place in places.items()}
        syntax = uid(values.get(META_SYNTAX, b""))
        source, start = read_at, offset
        if syntax == DEFLATED:
            inflated, fault = _inflate(read_at, start)
            source, start, size = _slices_of(inflated), 0, len(inflated)
            problem = problem or fault
        endian, implicit = ">" if syntax == BIG_ENDIAN else "<", syntax == IMPLICIT_LITTLE
        dataset = ElementWalk(source, start, size, endian, implicit=implicit)
        found, end, fault = dataset.run(_WANTED, last=SERIES)
        values |= {tag: source(*place) for tag, place in found.items()}
        problem = problem or fault
        header = _header(values, offset, problem)
        if not problem and syntax != DEFLATED and end < size:
            # What File Meta says of itself and of the encoding led the way as well.
            guides = _MARK, _LENGTH_OF_META, places.get(META_SYNTAX, (0, 0))
            steps = [*guides, *meta.steps, *dataset.steps]
            self._remember(beginning, steps, places | found, offset)
        return header

    def _remember(
        self, beginning: bytes, steps: list[Place], places: dict[int, Place], offset: int
    ) -> None:
        """Keep what a walk saw, if all of it was in the beginning and each place was seen once."""
        steps.sort()
        at, length = steps[-1]
        if at + length <= len(beginning) and len(steps) < MOST_STEPS and are_in_order(steps):
            self._skeletons.appendleft(Skeleton(beginning, steps, places, offset))


def _slices_of(data: bytes) -> ReadAt:
    return lambda offset, length: data[offset : offset + length]


def _header(values: dict[int, bytes], dataset_offset: int, problem: str) -> Header:
    """Read the values; Unreadable where one of the two is missing without which it is of no use."""
    for tag, name in ((STUDY, "Study"), (SOP_INSTANCE, "SOP")):
        if not is_uid(uid(values.get(tag, b""))):
            reason = f"; {problem}" if problem else ""
            raise Unreadable(f"the {name} Instance UID is missing or is not a UID{reason}")
    charset = ascii_text(values.get(CHARACTER_SET, b""))
    patient_id, fault = decoded(values.get(PATIENT_ID, b""), charset)
    issuer, fault_of_issuer = decoded(values.get(ISSUER, b""), charset)
    return Header(
        transfer_syntax_uid=uid(values.get(META_SYNTAX, b"")),
        sop_class_uid=uid(values.get(SOP_CLASS, b"")),
        sop_instance_uid=uid(values[SOP_INSTANCE]),
        study_instance_uid=uid(values[STUDY]),
        series_instance_uid=uid(values.get(SERIES, b"")),
        patient_id=patient_id,
        issuer_of_patient_id=issuer,
        modality=code(values.get(MODALITY, b"")),
        specific_character_set=charset,
        calling_ae_title=ascii_text(values.get(META_CALLING, b"")),
        called_ae_title=ascii_text(values.get(META_CALLED, b"")),
        dataset_offset=dataset_offset,
        problem=problem or fault or fault_of_issuer,
        accession_number=decoded(values.get(ACCESSION, b""), charset)[0],
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
