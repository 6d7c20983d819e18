"""Pixel data: exactly the image, whatever lay around it or in it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import JPEG2000, JPEGBaseline8Bit, JPEGExtended12Bit, RLELossless

from node.deid import Quarantined, codestream
from node.deid.syntax import Codec
from tests.deid import kit
from tests.factories import make_instance, write_instance

SECRET = b"Quillfeather^Zebedee"


def with_tail(path: Path, dataset: FileDataset, tail: bytes) -> Path:
    """Write an instance and append bytes to its pixel data and, behind them, to the file."""
    write_instance(path, dataset)
    content = path.read_bytes()
    at = content.rindex(b"\xe0\x7f\x10\x00OW\0\0") + 8
    length = struct.unpack_from("<I", content, at)[0] + len(tail)
    path.write_bytes(content[:at] + struct.pack("<I", length) + content[at + 4 :] + tail + tail)
    return path


@pytest.mark.parametrize("rows", [16, 300])
def test_pixel_data_are_cut_to_the_image_and_nothing_follows(rows: int, tmp_path: Path) -> None:
    """What stands beyond rows x columns, and beyond the data set, stays behind."""
    dataset = make_instance(rows=rows)
    source = with_tail(tmp_path / "a.dcm", dataset, SECRET)
    output = kit.run(tmp_path, source, kit.recipe(tmp_path))
    assert SECRET not in output.read_bytes()
    assert output.read_bytes().endswith(dataset.PixelData)
    assert dcmread(output).PixelData == dataset.PixelData


def test_an_odd_number_of_bytes_is_padded_with_one_zero(tmp_path: Path) -> None:
    """PS3.5 8.1.1: the value's length is even, and the byte added says nothing."""
    dataset = make_instance()
    dataset.Rows = dataset.Columns = 3
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = bytes(range(1, 10)) + b"Q"
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert output.PixelData == bytes(range(1, 10)) + b"\0"


@pytest.mark.parametrize(
    ("keyword", "value"), [("Rows", 17), ("NumberOfFrames", 2), ("NumberOfFrames", "x")]
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR IS")
def test_an_image_that_is_larger_than_its_pixel_data_is_quarantined(
    keyword: str, value: object, tmp_path: Path
) -> None:
    """Nobody knows what the rest of such an image is."""
    dataset = make_instance()
    setattr(dataset, keyword, value) if value != "x" else dataset.add_new(0x00280008, "LO", "x")
    source = write_instance(tmp_path / "a.dcm", dataset)
    source.write_bytes(source.read_bytes() + SECRET * 100)  # which might be taken for the rest
    with pytest.raises(Quarantined):
        kit.run(tmp_path, source, kit.recipe(tmp_path))


def test_bits_of_an_overlay_within_the_pixels_are_masked(tmp_path: Path) -> None:
    """An overlay in the unused high bits goes, and the pixels below it stay."""
    dataset = make_instance()
    pixels = np.frombuffer(dataset.PixelData, "<u2").reshape(16, 16)
    dataset.PixelData = (pixels | 0x4000).tobytes()
    dataset.add_new(0x60000100, "US", 16)
    dataset.add_new(0x60000102, "US", 14)
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert output.PixelData == pixels.tobytes()
    assert 0x60000100 not in output


def test_bits_beside_the_pixels_stay_where_no_overlay_uses_them(tmp_path: Path) -> None:
    """Signed pixels have their sign in those bits: they are touched only for an overlay."""
    dataset = make_instance()
    dataset.PixelRepresentation = 1
    dataset.PixelData = (np.frombuffer(dataset.PixelData, "<u2") | 0xF000).tobytes()
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert output.PixelData == dataset.PixelData


def test_comments_and_application_segments_leave_a_jpeg_image(tmp_path: Path) -> None:
    """COM and EXIF go, the picture stays bit for bit, and the table of offsets is true."""
    dataset = kit.bundled("SC_rgb_jpeg_dcmtk.dcm")
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    extra = b"\xff\xfe" + struct.pack(">H", 2 + len(SECRET)) + SECRET
    exif = b"Exif\0\0" + SECRET
    extra += b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif
    dataset.PixelData = encapsulate([frame[:2] + extra + frame[2:] + SECRET])
    dataset["PixelData"].is_undefined_length = True
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert SECRET not in (tmp_path / "target.dcm").read_bytes()
    assert next(generate_frames(output.PixelData, number_of_frames=1)).rstrip(b"\0") == (
        codestream.strip(Codec.JPEG, frame)
    )
    assert (output.pixel_array == kit.bundled("SC_rgb_jpeg_dcmtk.dcm").pixel_array).all()


def test_comments_leave_a_jpeg_2000_image(tmp_path: Path) -> None:
    """COM goes from the main header and from a tile-part's; the picture decodes to the same."""
    dataset = kit.bundled("J2K_pixelrep_mismatch.dcm")
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    before = codestream.strip(Codec.JPEG_2000, frame)
    comment = b"\xff\x64" + struct.pack(">HH", 4 + len(SECRET), 1) + SECRET
    tile = frame.index(b"\xff\x90")
    length = struct.unpack_from(">I", frame, tile + 6)[0]
    planted = frame[:tile] + comment + frame[tile : tile + 6]
    planted += struct.pack(">I", length + len(comment)) + frame[tile + 10 : tile + 12]
    planted += comment + frame[tile + 12 :]
    assert codestream.strip(Codec.JPEG_2000, planted) == before
    dataset.PixelData = encapsulate([planted])
    dataset["PixelData"].is_undefined_length = True
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert SECRET not in (tmp_path / "target.dcm").read_bytes()
    expected = kit.bundled("J2K_pixelrep_mismatch.dcm")
    assert (output.pixel_array == expected.pixel_array).all()


@pytest.mark.parametrize(
    ("codec", "stream"),
    [
        (Codec.JPEG, b"\xff\xd8\xff\xe0\x00\x10JFIF"),
        (Codec.JPEG, b"\xff\xd8 not a marker"),
        (Codec.JPEG, b"\xff\xd8\xff\xda\x00\x02 no end"),
        (Codec.JPEG_2000, b"\xff\x4f\xff\x51\xff"),
        (Codec.JPEG_2000, b"\xff\x4f\xff\x90\x00\x0a\x00\x00\xff\xff\xff\xff\x00\x01\xff\x93"),
        (Codec.JPEG_2000, b"text"),
    ],
)
def test_a_codestream_that_is_not_understood_is_quarantined(codec: Codec, stream: bytes) -> None:
    """What cannot be looked through may hold anything."""
    with pytest.raises(Quarantined):
        codestream.strip(codec, stream)


@pytest.mark.parametrize(
    "name",
    [
        "693_J2KI.dcm", "GDCMJ2K_TextGBR.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm",
        "JPEGLSNearLossless_16.dcm",
        "MR_small_jpeg_ls_lossless.dcm", "SC_jpeg_no_color_transform.dcm",
        "SC_rgb_jls_lossy_line.dcm", "SC_rgb_jpeg_app14_dcmd.dcm", "SC_rgb_jpeg_gdcm.dcm",
        "SC_rgb_small_odd_jpeg.dcm", "SC_rgb_rle_32bit_2frame.dcm", "examples_ybr_color.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")  # pydicom warns of some of its own files
def test_pydicom_decodes_the_same_picture_afterwards(name: str, tmp_path: Path) -> None:
    """Whatever the codec, nothing is recompressed and nothing is lost."""
    dataset = kit.bundled(name)
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert output.file_meta.TransferSyntaxUID == dataset.file_meta.TransferSyntaxUID
    assert (output.pixel_array == dataset.pixel_array).all()


def test_a_frame_in_several_fragments_is_one_frame(tmp_path: Path) -> None:
    """Fragments that begin no codestream belong to the one before them."""
    dataset = kit.bundled("JPEG2000.dcm")
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame], fragments_per_frame=4)
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert (output.pixel_array == kit.bundled("JPEG2000.dcm").pixel_array).all()


def test_a_frame_that_is_too_large_to_look_into_is_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One frame is held in memory, and no more than a bound."""
    monkeypatch.setattr("node.deid.pixeldata._LARGEST_REWRITE", 100)
    with pytest.raises(Quarantined):
        kit.run(tmp_path, kit.bundled("JPEG2000.dcm"), kit.recipe(tmp_path))


def test_a_table_of_offsets_that_says_something_else_is_emptied(tmp_path: Path) -> None:
    """A basic offset table holds offsets of fragments, or nothing."""
    dataset = kit.bundled("MR_small_RLE.dcm")
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    hidden = SECRET + b"!" * (-len(SECRET) % 4)
    dataset.PixelData = (
        b"\xfe\xff\x00\xe0" + struct.pack("<I", len(hidden)) + hidden
        + b"\xfe\xff\x00\xe0" + struct.pack("<I", len(frame)) + frame
    )  # fmt: skip
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert SECRET not in (tmp_path / "target.dcm").read_bytes()
    assert (output.pixel_array == kit.bundled("MR_small_RLE.dcm").pixel_array).all()


def test_an_extended_table_of_offsets_goes_when_it_is_no_longer_true(tmp_path: Path) -> None:
    """(7FE0,0001) and (7FE0,0002) stay with pixel data that are copied, not with stripped ones."""
    dataset = kit.bundled("SC_rgb_jpeg_dcmtk.dcm")
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(SECRET)) + SECRET
    for stays, stream in ((True, codestream.strip(Codec.JPEG, frame)),
                          (False, frame[:2] + comment + frame[2:])):  # fmt: skip
        dataset.PixelData, offsets, lengths = encapsulate_extended([stream])
        dataset["PixelData"].is_undefined_length = True
        dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = offsets, lengths
        output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
        assert ("ExtendedOffsetTable" in output) == stays
        assert ("ExtendedOffsetTableLengths" in output) == stays


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGExtended12Bit, JPEG2000, RLELossless])
def test_native_pixels_under_a_compressed_syntax_are_quarantined(
    syntax: str, tmp_path: Path
) -> None:
    """Pixel data are encoded as the transfer syntax says, or not at all."""
    source = write_instance(tmp_path / "a.dcm", make_instance())
    content = source.read_bytes().replace(
        b"1.2.840.10008.1.2.1\0", syntax.encode().ljust(22, b"\0")
    )
    content = content.replace(b"\x02\x00\x10\x00UI\x14\x00", b"\x02\x00\x10\x00UI\x16\x00")
    source.write_bytes(content)
    with pytest.raises(Quarantined):
        kit.run(tmp_path, source, kit.recipe(tmp_path))


def test_the_pixels_of_a_large_image_are_copied_where_the_kernel_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between filesystems copy_file_range may refuse; the bytes are the same."""

    def refuse(*_arguments: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    dataset = make_instance(rows=300)
    monkeypatch.setattr("os.copy_file_range", refuse)
    assert kit.outcome(tmp_path, dataset, kit.recipe(tmp_path)).PixelData == dataset.PixelData
