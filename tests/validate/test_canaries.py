"""A canary in every hiding place that a file has: none gets past the validator.

The honest engine's output is taken and the patient's name is put where a careless engine would have
left it. The promise is 0 passes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from node.deid import deidentify
from node.profile.recipe import Recipe
from node.validate import Severity, Verdict, validate
from tests.factories import make_instance, write_instance
from tests.validate.rich import rich_image, rich_report

CANARY = "Quillfeather1"
TEXT_KEYWORDS = {
    "AE": "StationAETitle", "AS": "PatientAge", "CS": "BodyPartExamined", "DA": "ContentDate",
    "DS": "SliceThickness", "DT": "AcquisitionDateTime", "IS": "SeriesNumber",
    "LO": "ManufacturerModelName", "LT": "ImageComments", "PN": "OperatorsName",
    "SH": "ConvolutionKernel", "ST": "InstitutionAddress", "TM": "ContentTime",
    "UC": "StrainDescription", "UI": "FrameOfReferenceUID", "UR": "RetrieveURL", "UT": "TextValue",
}  # fmt: skip


def caught(verdict: Verdict) -> bool:
    """Tell whether the study would be held for a fault of the output."""
    return any(f.severity in (Severity.LEAK, Severity.INVALID) for f in verdict.findings)


@pytest.fixture
def planted(tmp_path: Path, basic: Recipe) -> Callable[..., Verdict]:
    """De-identify honestly, plant something in the output, validate."""

    def plant(
        change: Callable[[Dataset], None] | None = None,
        spoil: Callable[[bytes], bytes] | None = None,
        dataset: Dataset | None = None,
    ) -> Verdict:
        source = write_instance(tmp_path / "source.dcm", dataset or rich_image())
        target = tmp_path / "target.dcm"
        target.unlink(missing_ok=True)
        deidentify(source, target, basic)
        assert not caught(validate(source, target, basic))
        if change:
            output = dcmread(target)
            change(output)
            plain = Dataset(output)
            plain.file_meta, plain.preamble = output.file_meta, bytes(128)
            plain.save_as(target, enforce_file_format=True)
        if spoil:
            target.write_bytes(spoil(target.read_bytes()))
        return validate(source, target, basic)

    return plant


@pytest.mark.parametrize("vr", TEXT_KEYWORDS)
def test_in_every_text_vr(planted: Callable[..., Verdict], vr: str) -> None:
    """Whatever the VR, and whether or not the attribute is one that may be there."""
    keyword = TEXT_KEYWORDS[vr]
    as_bytes = CANARY.encode() + b" "

    def change(output: Dataset) -> None:
        setattr(output, keyword, {"DS": "1", "IS": "1"}.get(vr, ""))

    def spoil(data: bytes) -> bytes:
        output = dcmread(BytesIO(data))
        tag = output[keyword].tag
        at = data.index(struct.pack("<HH", tag.group, tag.element) + vr.encode(), 300)
        long = vr in ("UC", "UR", "UT")
        head = at + (12 if long else 8)
        length = int.from_bytes(data[head - (4 if long else 2) : head], "little")
        size = struct.pack("<L" if long else "<H", len(as_bytes))
        return data[: head - len(size)] + size + as_bytes + data[head + length :]

    assert caught(planted(change, spoil))


def _deep(output: Dataset) -> None:
    item = Dataset()
    item.PersonName = CANARY
    for _ in range(10):
        outer = Dataset()
        outer.ReferencedSeriesSequence = [item]
        item = outer
    output.ReferencedSeriesSequence = [*output.ReferencedSeriesSequence, item]


def _deep_in_kept(output: Dataset) -> None:
    output.ExposureDoseSequence[0].FilterType = CANARY


def _icon(output: Dataset) -> None:
    icon = Dataset()
    icon.Rows = icon.Columns = 4
    icon.add_new(0x7FE00010, "OB", b"Quillfeather1 xx")
    output.IconImageSequence = [icon]


def _high_bits(output: Dataset) -> None:
    pixels = np.frombuffer(output.PixelData, np.uint16).copy()
    message = np.frombuffer(CANARY.encode(), np.uint8)
    pixels[: 2 * len(message)] |= np.repeat(message & 0xF, 2).astype(np.uint16) << 12
    output.PixelData = pixels.tobytes()


def _curve(output: Dataset) -> None:
    output.add_new(0x50000022, "LO", CANARY)


def _overlay(output: Dataset) -> None:
    output.add_new(0x60000022, "LO", CANARY)
    output.add_new(0x60001500, "LO", "Label")


PLACES: dict[str, Callable[[Dataset], None]] = {
    "a private text": lambda o: o.private_block(0x0029, "X", create=True).add_new(1, "LO", CANARY),
    "a private creator": lambda o: o.add_new(0x00290010, "LO", CANARY),
    "a UN": lambda o: o.private_block(0x0029, "X", create=True).add_new(1, "UN", CANARY.encode()),
    "items in a UN": lambda o: o.private_block(0x0029, "X", create=True).add_new(
        1, "UN", b"\xfe\xff\0\xe0\x16\0\0\0\x10\0\x10\0\x0e\0\0\0" + CANARY.encode() + b" "
    ),
    "a document": lambda o: o.add_new(0x00420011, "OB", b"%PDF-1.4 " + CANARY.encode()),
    "ten items deep": _deep,
    "a kept item": _deep_in_kept,
    "an overlay": _overlay,
    "an overlay's bits": lambda o: o.add_new(0x60003000, "OW", b"Quillfeather1 "),
    "a curve": _curve,
    "an icon image": _icon,
    "trailing padding": lambda o: o.add_new(0xFFFCFFFC, "OB", b"Quillfeather1 "),
    "the pixels' tail": lambda o: setattr(o, "PixelData", o.PixelData + b"Quillfeather1 "),
    "unused high bits": _high_bits,
    "UTF-16": lambda o: o.add_new(0x00281201, "OW", CANARY.encode("utf-16-le")),
    "a lookup table": lambda o: o.add_new(0x00283006, "OW", b"Quillfeather1 "),
    "an ICC profile": lambda o: o.add_new(0x00282000, "OB", b"icc Quillfeather1 "),
    "the method": lambda o: setattr(
        o, "DeidentificationMethod", ["an earlier tool", f"deid-node for {CANARY}"]),
    "a code's meaning": lambda o: setattr(
        o.DeidentificationMethodCodeSequence[0], "CodeMeaning", CANARY),
    "an encrypted attribute": lambda o: o.add_new(0x04000500, "SQ", []),
    "a digital signature": lambda o: o.add_new(0xFFFAFFFA, "SQ", []),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_in_the_data_set(planted: Callable[..., Verdict], place: str) -> None:
    """In every structure of a data set."""
    assert caught(planted(PLACES[place]))


def _meta(element: bytes) -> Callable[[bytes], bytes]:
    def spoil(data: bytes) -> bytes:
        length = int.from_bytes(data[140:144], "little")
        total = (length + len(element)).to_bytes(4, "little")
        return data[:140] + total + data[144 : 144 + length] + element + data[144 + length :]

    return spoil


def _delimiter(data: bytes) -> bytes:
    """Put a name into an item delimiter's length, where a sequence has one."""
    at = data.index(b"\xfe\xff\x00\xe0")
    length = int.from_bytes(data[at + 4 : at + 8], "little")
    return data[: at + 8 + length] + CANARY.encode() + b" " + data[at + 8 + length :]


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "the preamble": lambda data: CANARY.encode().ljust(128, b"\0") + data[128:],
    "(0002,0016)": _meta(b"\2\0\x16\0AE\x0e\0Quillfeather1 "),
    "(0002,0017)": _meta(b"\2\0\x17\0AE\x0e\0Quillfeather1 "),
    "(0002,0100)": _meta(b"\2\0\0\1UI\2\0" + b"1\0"),
    "(0002,0102)": _meta(b"\2\0\2\1OB\0\0\x0e\0\0\0Quillfeather1 "),
    "trailing bytes": lambda data: data + CANARY.encode(),
    "after an item": _delimiter,
}


@pytest.mark.parametrize("place", BYTES)
def test_in_the_file(planted: Callable[..., Verdict], place: str) -> None:
    """Outside the data set, or between its elements."""
    assert caught(planted(spoil=BYTES[place]))


def _compressed(syntax: object) -> Dataset:
    dataset = make_instance(rows=64)
    if syntax == JPEGBaseline8Bit:
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
        dataset.PixelData = encapsulate([TINY_JPEG])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.Rows = dataset.Columns = 8
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    else:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.BurnedInAnnotation = "NO"
    return dataset


#: The smallest baseline JPEG: 8 x 8 grey pixels, one quantisation and two Huffman tables.
TINY_JPEG = bytes.fromhex(
    "ffd8ffdb004300" + "01" * 64 + "ffc0000b080008000801011100"
    "ffc40014000100000000000000000000000000000000"
    "ffc40014100100000000000000000000000000000000"
    "ffda0008010100003f00" + "7f" + "ffd9"
)


def _comment(stream: bytes, syntax: object) -> bytes:
    text = b"for " + CANARY.encode()
    if syntax == JPEG2000Lossless:
        at = stream.index(b"\xff\x52")  # after SIZ: before COD
        return stream[:at] + b"\xff\x64" + struct.pack(">HH", len(text) + 4, 1) + text + stream[at:]
    return stream[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + stream[2:]


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless])
def test_in_a_codestream(planted: Callable[..., Verdict], syntax: object) -> None:
    """A comment, an application segment and bytes after the end of the picture."""

    def with_stream(change: Callable[[bytes], bytes]) -> Callable[[Dataset], None]:
        def plant(output: Dataset) -> None:
            frame = next(generate_frames(output.PixelData, number_of_frames=1))
            output.PixelData = encapsulate([change(frame.rstrip(b"\0"))], has_bot=False)
            output["PixelData"].is_undefined_length = True

        return plant

    source = _compressed(syntax)
    assert caught(planted(with_stream(lambda s: _comment(s, syntax)), dataset=source))
    assert caught(planted(with_stream(lambda s: s + CANARY.encode()), dataset=source))
    if syntax != JPEG2000Lossless:
        exif = b"\xff\xe1" + struct.pack(">H", 21) + b"Exif\0\0" + CANARY.encode()
        assert caught(planted(with_stream(lambda s: s[:2] + exif + s[2:]), dataset=source))


def test_in_segments_that_no_picture_needs(planted: Callable[..., Verdict]) -> None:
    """Reserved and hierarchical markers carry text as well as a comment does."""
    source = _compressed(JPEGBaseline8Bit)
    for marker in (b"\xff\xfd", b"\xff\x02", b"\xff\xde"):

        def plant(output: Dataset, marker: bytes = marker) -> None:
            frame = next(generate_frames(output.PixelData, number_of_frames=1))
            segment = marker + struct.pack(">H", 15) + CANARY.encode()
            output.PixelData = encapsulate([frame[:2] + segment + frame[2:]], has_bot=False)
            output["PixelData"].is_undefined_length = True

        assert caught(planted(plant, dataset=source))


def _rle(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Dataset], None]:
    def plant(output: Dataset) -> None:
        frames = list(generate_frames(output.PixelData, number_of_frames=1))
        output.PixelData = encapsulate(change(frames), has_bot=False)
        output["PixelData"].is_undefined_length = True

    return plant


def test_behind_an_rle_segment_and_in_a_fragment_too_many(
    planted: Callable[..., Verdict],
) -> None:
    """RLE has no end marker: what lies behind the last segment is found by decoding lengths."""
    source = make_instance(rows=64)
    source.compress(RLELossless, generate_instance_uid=False)
    assert caught(planted(_rle(lambda f: [f[0] + b" Ng Jo "]), dataset=source))
    assert caught(planted(_rle(lambda f: [*f, b" Ng Jo  "]), dataset=source))


def test_what_lies_behind_an_original_s_rle_segment_does_not_hold_it(
    tmp_path: Path, basic: Recipe
) -> None:
    """The engine cuts it off, and the rest is the picture still."""
    dataset = make_instance(rows=64)
    dataset.compress(RLELossless, generate_instance_uid=False)
    _rle(lambda f: [f[0] + b" Ng Jo  "])(dataset)
    source, target = write_instance(tmp_path / "source.dcm", dataset), tmp_path / "target.dcm"
    deidentify(source, target, basic)
    assert b" Ng Jo " in source.read_bytes()
    assert b" Ng Jo " not in target.read_bytes()
    assert not caught(validate(source, target, basic))


def test_in_the_unused_bits_of_wide_samples(planted: Callable[..., Verdict]) -> None:
    """32 bits allocated and 16 stored leave two bytes per sample."""
    source = make_instance(rows=16)
    source.BitsAllocated, source.BitsStored, source.HighBit = 32, 16, 15
    source.PixelData = bytes(4 * 256)

    def plant(output: Dataset) -> None:
        pixels = np.zeros(256, np.uint32)
        pixels[: len(CANARY)] = np.frombuffer(CANARY.encode(), np.uint8).astype(np.uint32) << 16
        output.PixelData = pixels.tobytes()

    assert caught(planted(plant, dataset=source))


def test_in_the_basic_offset_table(planted: Callable[..., Verdict]) -> None:
    """A table of offsets that are none."""

    def plant(output: Dataset) -> None:
        data = output.PixelData
        output.PixelData = data[:4] + b"\x10\0\0\0" + b"Quillfeather1xyz" + data[8:]
        output["PixelData"].is_undefined_length = True

    source = _compressed(JPEGLSLossless)
    source.PixelData = encapsulate(
        list(generate_frames(source.PixelData, number_of_frames=1)), has_bot=False
    )
    source["PixelData"].is_undefined_length = True
    assert caught(planted(plant, dataset=source))


@pytest.mark.parametrize("place", ["offset", "length", "one too many", ""])
def test_in_the_extended_offset_table(planted: Callable[..., Verdict], place: str) -> None:
    """Offsets and lengths are those of the output's own fragments, or the table is a lie."""
    source = _compressed(JPEGLSLossless)
    frame = next(generate_frames(source.PixelData, number_of_frames=1))
    source.PixelData, offsets, lengths = encapsulate_extended([frame])
    source["PixelData"].is_undefined_length = True
    source.ExtendedOffsetTable, source.ExtendedOffsetTableLengths = offsets, lengths

    def plant(output: Dataset) -> None:
        output["PixelData"].is_undefined_length = True
        if place == "offset":
            output.ExtendedOffsetTable = b"Quillfea"
        elif place == "length":
            output.ExtendedOffsetTableLengths = b"Quillfea"
        elif place:
            output.ExtendedOffsetTable += b"Quillfea"
            output.ExtendedOffsetTableLengths += b"ther1xyz"

    assert caught(planted(plant, dataset=source)) == bool(place)


def test_in_a_report(planted: Callable[..., Verdict]) -> None:
    """In the dummy that stands for a report's content."""

    def plant(output: Dataset) -> None:
        output.ContentSequence[0].TextValue = f"Seen by {CANARY}"

    assert caught(planted(plant, dataset=rich_report()))


NUMBERS = {
    "US": lambda text: np.frombuffer(text, "<u2").tolist(),
    "UL": lambda text: np.frombuffer(text, "<u4").tolist(),
    "FL": lambda text: np.frombuffer(text, "<f4").tolist(),
    "FD": lambda text: np.frombuffer(text, "<f8").tolist(),
    "OF": lambda text: text,
    "OD": lambda text: text,
    "OL": lambda text: text,
    "OB": lambda text: text,
    "OW": lambda text: text,
}
KEPT_NUMBERS = {
    "US": 0x00283006, "UL": 0x00660040, "FL": 0x00660040, "FD": 0x00189087, "OF": 0x00660016,
    "OD": 0x00660016, "OL": 0x00660040, "OB": 0x00282000, "OW": 0x00281201,
}  # fmt: skip


@pytest.mark.parametrize("vr", NUMBERS)
@pytest.mark.parametrize("before", [0, 70000])
def test_a_name_that_came_as_kept_numbers(
    tmp_path: Path, basic: Recipe, vr: str, before: int
) -> None:
    """The original spells a name in numbers that every profile keeps, near or far from the start.

    Whatever the engine does with it, the name must not leave without a finding.
    """
    text = bytes(before) + b" SMITHERSON BARTHOLOMEW "
    dataset = make_instance()
    dataset.PatientName = "Smitherson^Bartholomew"
    if vr in ("US", "FL", "FD", "UL") and before:
        text = text[-24:]  # these have 64 KiB at most
    item = Dataset()
    item.add_new(KEPT_NUMBERS[vr], vr, NUMBERS[vr](text))
    dataset.ModalityLUTSequence = [item]
    source = write_instance(tmp_path / "source.dcm", dataset)
    target = tmp_path / "target.dcm"
    deidentify(source, target, basic)
    leaves = b"SMITHERSON" in target.read_bytes()
    assert caught(validate(source, target, basic)) == leaves
