"""The walk over a file's first elements: right about good files, bounded with bad ones."""

from __future__ import annotations

import contextlib
import struct
import time
import zlib
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom.dsutils import encode

from node.inbox.header import Header, Unreadable, read_header
from node.inbox.header_values import is_uid
from node.receive.file_meta import file_meta
from tests.factories import instance_uid, make_instance, patient_id, study_uid

EXPLICIT, IMPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
)  # fmt: skip
CT = "1.2.840.10008.5.1.4.1.1.2"
INSTANCE, STUDY = b"1.2.3.4 ", b"1.2.3"


def meta(syntax: str = EXPLICIT) -> bytes:
    """Give a File Meta of ours."""
    return file_meta(CT, "1.2.3.4", syntax, "CT1", "DEIDNODE")


def file_of(dataset: Dataset, syntax: str) -> bytes:
    """Give a file in any of the four plain encodings."""
    body = encode(dataset, syntax == IMPLICIT, syntax != BIG, syntax == DEFLATED)
    assert body
    return meta(syntax) + body


def short(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Give an element with a two-byte length, in Explicit VR Little Endian."""
    size = len(value) if length is None else length
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, size) + value


def long(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Give an element with a four-byte length."""
    size = len(value) if length is None else length
    return struct.pack("<HH2s2xI", tag >> 16, tag & 0xFFFF, vr, size) + value


def item(tag: int, value: bytes = b"", length: int = 0) -> bytes:
    """Give an item or a delimiter."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length) + value


START, END, STOP = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
UNKNOWN = 0xFFFFFFFF
BEFORE = short(0x00080016, b"UI", CT.encode() + b"\0") + short(0x00080018, b"UI", INSTANCE)
AFTER = short(0x0020000D, b"UI", STUDY) + short(0x0020000E, b"UI", b"1.2.3.9")


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
@pytest.mark.parametrize("undefined", [False, True])
def test_every_encoding_says_the_same(tmp_path: Path, syntax: str, undefined: bool) -> None:
    """From a path, from bytes; with a sequence of either kind of length in the way."""
    dataset = make_instance(patient=3, study=2)
    if syntax == BIG:
        dataset["PixelData"].VR = "OW"
    inner = Dataset()
    inner.PatientID = inner.StudyInstanceUID = "9.9"
    outer = Dataset()
    outer.ReferencedSeriesSequence = [inner]
    dataset.ReferencedImageSequence = [outer, Dataset()]
    dataset.IssuerOfPatientID = "HOSPITAL"
    for sequence in (dataset["ReferencedImageSequence"], outer["ReferencedSeriesSequence"]):
        sequence.is_undefined_length = undefined
        for part in sequence.value:
            part.is_undefined_length_sequence_item = undefined
    content = file_of(dataset, syntax)
    (tmp_path / "a.dcm").write_bytes(content)
    wanted = Header(
        transfer_syntax_uid=syntax,
        sop_class_uid=CT,
        sop_instance_uid=instance_uid(3, 2, 1, 1),
        study_instance_uid=study_uid(3, 2),
        series_instance_uid=f"{study_uid(3, 2)}.1",
        patient_id=patient_id(3),
        issuer_of_patient_id="HOSPITAL",
        modality="CT",
        specific_character_set="",
        calling_ae_title="CT1",
        called_ae_title="DEIDNODE",
        dataset_offset=len(meta(syntax)),
        problem="",
        accession_number="ACC3277",
    )
    assert read_header(tmp_path / "a.dcm") == read_header(content) == wanted


def test_a_modality_that_is_no_code_is_not_told() -> None:
    """It goes into logs and pages: a name that stands there must not."""
    buffer = BytesIO()
    instance = make_instance()
    instance.Modality = "MR"
    instance["Modality"]._value = "Smitherson born 19470319"
    instance.save_as(buffer, enforce_file_format=True)
    assert read_header(buffer.getvalue()).modality == ""


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_file_of_pydicom_is_read(syntax: UID) -> None:
    """Its File Meta has no AE titles."""
    buffer = BytesIO()
    make_instance(syntax=syntax).save_as(buffer, enforce_file_format=True)
    header = read_header(buffer.getvalue())
    assert (header.study_instance_uid, header.calling_ae_title) == (study_uid(1, 1), "")
    assert pydicom.dcmread(BytesIO(buffer.getvalue())).file_meta


def test_the_files_that_pydicom_brings_along_are_read_alike() -> None:
    """Where the walk reads one, it says what pydicom says."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    read = 0
    for path in sorted(folder.glob("*.dcm")):
        with contextlib.suppress(Unreadable):
            header = read_header(path)
            theirs = pydicom.dcmread(
                path, stop_before_pixels=True, specific_tags=["StudyInstanceUID", "SOPInstanceUID"]
            )
            assert header.study_instance_uid == theirs.StudyInstanceUID
            assert header.sop_instance_uid == theirs.SOPInstanceUID
            read += 1
    assert read > 40


def test_values_beyond_the_first_window_are_found() -> None:
    """A large private value before the Study Instance UID is stepped over, not read."""
    large = long(0x00091001, b"OB", bytes(10_000_000))
    patient = short(0x00100020, b"LO", b"MRN7")
    header = read_header(meta() + BEFORE + large + patient + AFTER)
    assert (header.patient_id, header.series_instance_uid, header.problem) == (
        "MRN7",
        "1.2.3.9",
        "",
    )


def test_a_value_across_the_edge_of_a_window_is_whole() -> None:
    """Whatever the offset."""
    for size in range(8000, 8400, 2):
        filler = long(0x00091001, b"OB", bytes(size - len(meta() + BEFORE)))
        header = read_header(meta() + BEFORE + filler + short(0x00100020, b"LO", b"MRN7") + AFTER)
        assert (header.patient_id, header.study_instance_uid) == ("MRN7", "1.2.3")


def test_an_unknown_vr_of_undefined_length_holds_implicit_items() -> None:
    """PS3.5 6.2.2; what follows is explicit again."""
    inside = item(START, length=UNKNOWN) + struct.pack("<HHI", 0x0010, 0x0020, 4) + b"9999"
    unknown = long(0x00091002, b"UN", inside + item(END) + item(STOP), UNKNOWN)
    header = read_header(meta() + BEFORE + unknown + short(0x00100020, b"LO", b"MRN7") + AFTER)
    assert (header.patient_id, header.problem) == ("MRN7", "")


@pytest.mark.parametrize(
    ("charset", "value", "wanted"),
    [
        (b"", b"MRN7", "MRN7"),
        (b"ISO_IR 100", "Bjørk".encode("latin-1"), "Bjørk"),
        (b"ISO_IR 192", "Łódź".encode(), "Łódź"),
        (b"GB18030", "王".encode("gb18030"), "王"),
        (b"\\ISO 2022 IR 87", b"\x1b$B;3\x1b(B7", "山7"),
    ],
)
def test_a_patient_id_is_decoded_as_declared(charset: bytes, value: bytes, wanted: str) -> None:
    """By the Specific Character Set (PS3.3 C.12.1.1.2)."""
    declared = short(0x00080005, b"CS", charset + b" " * (len(charset) % 2))
    patient = short(0x00100020, b"LO", value + b" " * (len(value) % 2))
    header = read_header(meta() + declared + BEFORE + patient + AFTER)
    assert (header.patient_id, header.problem) == (wanted, "")


@pytest.mark.parametrize(
    ("charset", "value"),
    [(b"", b"\xff\xfe"), (b"ISO_IR 999", b"\xe9a"), (b"ISO_IR 192", b"\xff\xfe")],
)
def test_a_patient_id_that_cannot_be_decoded_is_a_problem(charset: bytes, value: bytes) -> None:
    """It is given in an escaped form that differs wherever the bytes do."""
    declared = short(0x00080005, b"CS", charset)
    header = read_header(meta() + declared + BEFORE + short(0x00100020, b"LO", value) + AFTER)
    assert header.problem
    assert header.patient_id.isascii()
    assert header.patient_id


@pytest.mark.parametrize(
    ("odd", "problem"),
    [
        (short(0x00090010, b"LO", b"") + short(0x00080060, b"CS", b"CT"), "order"),
        (short(0x00100020, b"??", b"MRN7"), "VR"),
        (short(0x00100020, b"LO", bytes(5000)), "too long"),
        (item(START), "outside"),
        (item(STOP), "nothing is open"),
        (long(0x00091001, b"OB", b"", 0x7FFFFFFE), "past the end"),
        (short(0x00100020, b"LO", b"", 0xFFFE), "past the end"),
        (long(0x00091001, b"SQ", item(START, length=UNKNOWN), UNKNOWN), "does not end"),
    ],
)
def test_what_is_wrong_before_the_study_is_said(odd: bytes, problem: str) -> None:
    """In words that quote nothing; without the Study the file is unreadable."""
    with pytest.raises(Unreadable, match=problem):
        read_header(meta() + BEFORE + odd + (AFTER if problem != "does not end" else b""))


def test_what_is_wrong_after_the_study_is_told_beside_it() -> None:
    """The file can be filed, and has a problem."""
    cut = short(0x0020000D, b"UI", STUDY) + short(0x0020000E, b"UI", b"1.2", 2000)
    header = read_header(meta() + BEFORE + cut)
    assert header.study_instance_uid == "1.2.3"
    assert header.series_instance_uid == ""
    assert "past the end" in header.problem


@pytest.mark.parametrize(
    "content",
    [b"", b"DICM", bytes(128) + b"DICM", bytes(200), meta(), meta() + BEFORE, meta() + AFTER],
)
def test_a_file_without_its_uids_is_unreadable(content: bytes) -> None:
    """Nobody could tell where it belongs."""
    with pytest.raises(Unreadable):
        read_header(content)


def test_a_symlink_is_not_followed(tmp_path: Path) -> None:
    """A path is opened as what it is."""
    (tmp_path / "real").write_bytes(meta() + BEFORE + AFTER)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    read_header(tmp_path / "real")
    with pytest.raises(OSError, match="symbolic"):
        read_header(tmp_path / "link")


@pytest.mark.hostile
@pytest.mark.parametrize(
    "body",
    [
        long(0x00091001, b"SQ", b"", UNKNOWN) + item(START, length=UNKNOWN) * 200_000,
        long(0x00091001, b"SQ", b"", UNKNOWN)
        + (item(START, length=UNKNOWN) + long(0x00091001, b"SQ", b"", UNKNOWN)) * 100_000,
        long(0x00091001, b"SQ", b"", UNKNOWN) + item(START) * 300_000,
        b"".join(short(g << 16 | n, b"LO", b"") for g in (9, 11) for n in range(1, 60_000)),
    ],
    ids=["items", "depth", "empty items", "elements"],
)
def test_a_file_made_to_cost_is_given_up_soon(body: bytes) -> None:
    """Nesting without end, hundreds of thousands of items or elements: no recursion, a bound."""
    began = time.monotonic()
    with pytest.raises(Unreadable, match="too many elements"):
        read_header(meta() + BEFORE + body)
    assert time.monotonic() - began < 60


@pytest.mark.hostile
@pytest.mark.parametrize("bomb", [b"\0" * 60_000_000, b"garbage"])
def test_a_deflated_bomb_is_not_inflated(bomb: bytes) -> None:
    """A few megabytes at most, whatever 60 KB claim to be."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = deflater.compress(BEFORE + bomb) + deflater.flush()
    began = time.monotonic()
    with pytest.raises(Unreadable):
        read_header(meta(DEFLATED) + packed)
    assert time.monotonic() - began < 60


def test_a_truncated_deflated_file_is_a_problem() -> None:
    """What could be inflated is looked at."""
    content = file_of(make_instance(rows=64, syntax=DeflatedExplicitVRLittleEndian), DEFLATED)
    header = read_header(content[:-3000])
    assert header.study_instance_uid == study_uid(1, 1)
    assert "truncated" in header.problem


@given(st.binary(max_size=120), st.integers(0, 900), st.sampled_from([EXPLICIT, IMPLICIT, BIG]))
def test_no_bytes_make_it_raise_anything_else(noise: bytes, at: int, syntax: str) -> None:
    """Noise in the middle of a good file: a header or Unreadable."""
    content = meta(syntax) + BEFORE + AFTER
    damaged = content[:at] + noise + content[at + len(noise) :]
    with contextlib.suppress(Unreadable):
        assert is_uid(read_header(damaged).study_instance_uid)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("1.2.3", True), ("01.002", True), ("1" * 64, True), ("", False), ("1" * 65, False),
     ("1.2\n", False), ("1.2.x", False), ("1.2/3", False), ("\u0661.2", False)],
)  # fmt: skip
def test_a_uid_is_digits_and_dots(text: str, is_one: bool) -> None:
    """1 to 64 of [0-9.], ASCII only."""
    assert is_uid(text) is is_one
