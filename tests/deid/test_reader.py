"""How instances are encoded, well and badly: what is not understood stops."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.deid import Held, Quarantined, deidentify, normalise
from node.deid.source import Source
from tests.conftest import BUNDLED
from tests.deid import kit
from tests.factories import identifiers, make_instance, write_instance

#: View Code Sequence: kept, and behind most of what an image has.
VIEW_CODES = 0x00540220
NAME = b"Quillfeather1^Zebedee1"


def raw(tag: int, vr: str, value: bytes, *, length: int | None = None) -> bytes:
    """Encode an explicit VR element, with a length that need not be true."""
    told = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in ("SQ", "UN", "OB", "OW", "UT"):
        return head + b"\0\0" + struct.pack("<I", told) + value
    return head + struct.pack("<H", told) + value


def with_bytes(path: Path, dataset: Dataset, before_pixels: bytes) -> Path:
    """Write an instance and put bytes before its pixel data."""
    write_instance(path, dataset)
    content = path.read_bytes()
    at = content.rindex(b"\xe0\x7f\x10\x00OW")
    path.write_bytes(content[:at] + before_pixels + content[at:])
    return path


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_native_syntax_stays_what_it_is(syntax: str, tmp_path: Path) -> None:
    """Explicit and implicit VR little endian leave as they came."""
    dataset = make_instance(syntax=syntax)
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert output.file_meta.TransferSyntaxUID == syntax
    assert output.PixelData == dataset.PixelData
    assert output.Rows == dataset.Rows


@pytest.mark.parametrize(
    "name",
    ["ExplVR_BigEnd.dcm", "image_dfl.dcm", "SC_rgb_small_odd_big_endian.dcm", "rtdose_expb.dcm"],
)
def test_big_endian_and_deflated_leave_as_explicit_little_endian(name: str, tmp_path: Path) -> None:
    """Both are normalised; pydicom reads the same pixels out of the result."""
    source = dcmread(BUNDLED / name)
    source.PatientID = source.get("PatientID") or "MRN1"
    changed = tmp_path / name
    source.save_as(changed)
    output = kit.outcome(tmp_path, changed, kit.recipe(tmp_path))
    assert output.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (output.pixel_array == source.pixel_array).all()


def test_a_file_without_meta_header_is_read_for_what_it_is(tmp_path: Path) -> None:
    """The first element tells the encoding where no File Meta does."""
    whole = write_instance(tmp_path / "whole.dcm", make_instance()).read_bytes()
    bare = tmp_path / "bare.dcm"
    bare.write_bytes(whole[whole.index(b"\x08\x00\x08\x00CS") :])
    assert kit.outcome(tmp_path, bare, kit.recipe(tmp_path)).Modality == "CT"


def test_an_explicit_data_set_under_an_implicit_meta_header_is_put_right(tmp_path: Path) -> None:
    """What the data set is goes before what the File Meta says of it."""
    source = write_instance(tmp_path / "a.dcm", make_instance())
    content = source.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0")
    source.write_bytes(content)
    output = kit.outcome(tmp_path, source, kit.recipe(tmp_path))
    assert output.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_undefined_lengths_are_read_and_leave_defined(tmp_path: Path) -> None:
    """Sequences and items of undefined length, nested, come out with the same items."""
    dataset = make_instance()
    inner, item = Dataset(), Dataset()
    inner.CodeValue, inner.CodingSchemeDesignator, inner.CodeMeaning = "1", "99A", "Chest"
    item.AnatomicRegionModifierSequence = [inner]
    item.CodeValue = "2"
    dataset.AnatomicRegionSequence = [item, item]
    for each in (dataset, item):
        for element in each:
            if element.VR == "SQ":
                element.is_undefined_length = True
                for part in element.value:
                    part.is_undefined_length_sequence_item = True
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert output.AnatomicRegionSequence == dataset.AnatomicRegionSequence
    assert b"\xff\xff\xff\xff" not in (tmp_path / "target.dcm").read_bytes()


@pytest.mark.parametrize("length", [None, 0xFFFFFFFF])
def test_a_sequence_that_became_un_is_gone_through(length: int | None, tmp_path: Path) -> None:
    """UN holds implicit VR little endian (PS3.5 6.2.2); names within it go like any others."""
    name = b"\x10\x00\x10\x00" + struct.pack("<I", len(NAME)) + NAME
    code = b"\x08\x00\x00\x01" + struct.pack("<I", 4) + b"CT01"
    item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(code + name)) + code + name
    end = b"\xfe\xff\xdd\xe0\0\0\0\0" if length else b""
    element = raw(VIEW_CODES, "UN", item + end, length=length)
    source = with_bytes(tmp_path / "a.dcm", make_instance(), element)
    output = kit.outcome(tmp_path, source, kit.recipe(tmp_path))
    assert NAME not in (tmp_path / "target.dcm").read_bytes()
    assert output[VIEW_CODES].value[0].CodeValue == "CT01"
    assert output[VIEW_CODES].value[0].PatientName == output.PatientName


def test_tags_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    """An attribute that stands too late is found, treated, and written where it belongs."""
    source = with_bytes(tmp_path / "a.dcm", make_instance(), raw(0x00101001, "PN", NAME))
    output = kit.outcome(tmp_path, source, kit.recipe(tmp_path))
    tags = [element.tag for element in output]
    assert tags == sorted(tags)
    assert NAME not in (tmp_path / "target.dcm").read_bytes()


@pytest.mark.parametrize("undefined", [False, True])
def test_tags_out_of_order_within_an_item_are_put_in_order(undefined: bool, tmp_path: Path) -> None:
    """As at the top level, in items of defined and of undefined length."""
    values = raw(0x00080104, "LO", b"Chest ") + raw(0x00080100, "SH", b"CT01")
    value = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(values)) + values
    element = raw(VIEW_CODES, "SQ", value)
    if undefined:
        value += b"\xfe\xff\xdd\xe0\0\0\0\0"
        element = raw(VIEW_CODES, "SQ", value, length=0xFFFFFFFF)
    source = with_bytes(tmp_path / "a.dcm", make_instance(), element)
    (item,) = kit.outcome(tmp_path, source, kit.recipe(tmp_path)).ViewCodeSequence
    assert [element.tag.element for element in item] == [0x0100, 0x0104]
    assert item.CodeValue == "CT01"


@pytest.mark.parametrize(
    ("what", "element"),
    [
        ("an unknown VR", raw(0x00541000, "ZZ", b"..")),
        ("an attribute twice", raw(0x00100020, "LO", b"OTHER1")),
        ("an attribute twice in a row", raw(0x00541001, "LO", b"..") * 2),
        ("a value that passes the end", raw(0x00541001, "LO", b"..", length=0xFFF0)),
        ("an item beyond its sequence", raw(VIEW_CODES, "SQ", b"\xfe\xff\x00\xe0\xff\0\0\0")),
        (
            "an element beyond its item",
            raw(
                VIEW_CODES,
                "SQ",
                b"\xfe\xff\x00\xe0\x0a\0\0\0" + raw(0x00080100, "SH", b"..", length=200),
            ),
        ),
        ("no items in a sequence", raw(VIEW_CODES, "SQ", b"no items")),
        ("text of undefined length", raw(0x00541003, "UT", b"..", length=0xFFFFFFFF)),
        ("an item's end without an item", b"\xfe\xff\x0d\xe0\0\0\0\0"),
    ],
)
def test_what_is_not_understood_is_quarantined(what: str, element: bytes, tmp_path: Path) -> None:
    """The reason is in words and quotes nothing; no file is left."""
    source = with_bytes(tmp_path / "a.dcm", make_instance(), element)
    with pytest.raises(Quarantined) as quarantined:
        kit.run(tmp_path, source, kit.recipe(tmp_path))
    assert not (tmp_path / "target.dcm").exists(), what
    assert quarantined.value.reason
    assert not any(secret in quarantined.value.reason for secret in identifiers())


def nested(depth: int, *, undefined: bool) -> bytes:
    """Encode a sequence in a sequence in a sequence."""
    value = b""
    for _ in range(depth):
        if undefined:
            value = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + value + b"\xfe\xff\x0d\xe0\0\0\0\0"
            value = raw(0x0040A730, "SQ", value + b"\xfe\xff\xdd\xe0\0\0\0\0", length=0xFFFFFFFF)
        else:
            value = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(value)) + value
            value = raw(0x0040A730, "SQ", value)
    return value


@pytest.mark.parametrize("depth", [40, 5000])
@pytest.mark.parametrize("undefined", [False, True])
def test_bottomless_nesting_is_quarantined(depth: int, undefined: bool, tmp_path: Path) -> None:
    """Nothing recurses without a bound, in defined lengths or undefined ones."""
    source = with_bytes(tmp_path / "a.dcm", make_instance(), nested(depth, undefined=undefined))
    with pytest.raises(Quarantined):
        kit.run(tmp_path, source, kit.recipe(tmp_path, "clean-structured-content"))


def test_a_deflated_bomb_is_quarantined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inflating stops at a bound, and at a stream that is cut short or damaged."""
    monkeypatch.setattr(normalise, "_LARGEST", 1 << 20)
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = squeezer.compress(bytes(50 << 20)) + squeezer.flush()
    for stream in (bomb, bomb[: len(bomb) // 2], b"\xff" * 100):
        with pytest.raises(Quarantined):
            normalise.inflate(Source(memory=stream), 0)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_whatever_is_cut_off_or_flipped_nothing_but_an_outcome_comes_of_it(
    syntax: UID, tmp_path: Path
) -> None:
    """A damaged file is de-identified or stopped; it never gives a stray error or half a file."""
    dataset = make_instance(syntax=syntax)
    code, item = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "109054", "DCM"
    item.ValueType, item.ConceptNameCodeSequence, item.TextValue = "TEXT", [code], "at rest"
    dataset.AcquisitionContextSequence = [item]
    dataset.AnatomicRegionSequence = [code, code]
    content = write_instance(tmp_path / "a.dcm", dataset).read_bytes()
    how = kit.recipe(tmp_path, kit.MODIFIED, "clean-structured-content", "retain-safe-private")
    damaged, target = tmp_path / "damaged.dcm", tmp_path / "target.dcm"
    stopped = 0
    for at in range(132, len(content) - 512, 11):
        for broken in (
            content[:at],
            content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :],
            content[:at] + b"\xff\xff\xff\xff" + content[at + 4 :],
        ):
            damaged.write_bytes(broken)
            try:
                deidentify(damaged, target, how)
            except (Quarantined, Held):  # anything else fails the test
                stopped += 1
            else:
                assert b"Quillfeather" not in target.read_bytes()
                target.unlink()
            assert not target.exists()
    assert stopped > 100


def test_only_a_plain_file_is_read_and_no_symbolic_link_followed(tmp_path: Path) -> None:
    """A folder, a FIFO or a link in the place of an instance is not opened as one."""
    how = kit.recipe(tmp_path)
    link = tmp_path / "link.dcm"
    link.symlink_to(write_instance(tmp_path / "a.dcm", make_instance()))
    with pytest.raises(OSError, match="symbolic"):
        deidentify(link, tmp_path / "target.dcm", how)
    with pytest.raises(Quarantined):
        deidentify(tmp_path, tmp_path / "target.dcm", how)
