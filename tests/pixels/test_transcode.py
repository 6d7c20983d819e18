"""A file in another transfer syntax shows the same picture and says the truth about it."""

from __future__ import annotations

import shutil
import subprocess
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from pydicom import FileDataset, dcmread
from pydicom.encaps import generate_frames, parse_basic_offsets
from pydicom.pixels import pixel_array

from node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.pixels import source as images
from node.pixels.syntaxes import WRITABLE
from node.pixels.transcode import CannotTranscode, transcode
from node.validate.codestream import remarks
from tests.factories import make_instance, write_instance
from tests.pixels.images import (
    BASELINE,
    EXPLICIT,
    IMPLICIT,
    JPEG_2000,
    JPEG_LS,
    RLE,
    carried,
    make_frames,
)

LOSSLESS = [
    "MR_small.dcm", "MR_small_implicit.dcm", "MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm", "SC_rgb_rle_2frame.dcm", "SC_rgb_rle_16bit.dcm",
    "SC_rgb_jpeg_gdcm.dcm", "examples_palette.dcm", "GDCMJ2K_TextGBR.dcm",
    "J2K_pixelrep_mismatch.dcm",
]  # fmt: skip


def transcoded(source: Path | FileDataset, folder: Path, syntax: str) -> FileDataset:
    """Write a file in another syntax and read it with pydicom."""
    if isinstance(source, FileDataset):
        source = write_instance(folder / "source.dcm", source)
    target = folder / "target.dcm"
    transcode(source, target, syntax)
    return dcmread(target)


@pytest.mark.parametrize("syntax", sorted(WRITABLE))
@pytest.mark.parametrize("name", LOSSLESS)
def test_no_sample_changes(tmp_path: Path, name: str, syntax: str) -> None:
    """Every lossless encoding gives the very samples that the source decodes to."""
    made = transcoded(carried(name), tmp_path, syntax)
    assert made.file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(
        pixel_array(carried(name), raw=True), pixel_array(tmp_path / "target.dcm", raw=True)
    )


@pytest.mark.parametrize("syntax", sorted(WRITABLE))
def test_the_file_meta_is_ours_and_nothing_follows_the_pixels(tmp_path: Path, syntax: str) -> None:
    """What others wrote into the file around the data set does not get through."""
    write_instance(tmp_path / "source.dcm", make_instance(rows=33))
    with (tmp_path / "source.dcm").open("r+b") as file:
        file.write(b"somebody's preamble")
    made = transcoded(tmp_path / "source.dcm", tmp_path, syntax)
    content = (tmp_path / "target.dcm").read_bytes()
    assert content[:128] == bytes(128)
    assert {element.keyword: element.value for element in made.file_meta} == {
        "FileMetaInformationGroupLength": made.file_meta.FileMetaInformationGroupLength,
        "FileMetaInformationVersion": b"\0\1",
        "MediaStorageSOPClassUID": made.SOPClassUID,
        "MediaStorageSOPInstanceUID": made.SOPInstanceUID,
        "TransferSyntaxUID": syntax,
        "ImplementationClassUID": IMPLEMENTATION_CLASS_UID,
        "ImplementationVersionName": IMPLEMENTATION_VERSION_NAME,
    }
    end = b"\xfe\xff\xdd\xe0\0\0\0\0" if made.file_meta.TransferSyntaxUID.is_encapsulated else b""
    assert content.endswith(end)
    if not end:
        assert content.endswith(made.PixelData)


@pytest.mark.parametrize("syntax", [RLE, JPEG_LS, JPEG_2000])
def test_the_offset_table_finds_each_frame(tmp_path: Path, syntax: str) -> None:
    """One fragment a frame, and a Basic Offset Table that is right (PS3.5 A.4)."""
    made = transcoded(make_frames(3, rows=33), tmp_path, syntax)
    offsets = parse_basic_offsets(made.PixelData)
    frames = list(generate_frames(made.PixelData, number_of_frames=3))
    sizes = [8 + len(frame) for frame in frames]
    assert offsets == [0, sizes[0], sizes[0] + sizes[1]]


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "SC_rgb_rle_2frame.dcm"])
def test_the_attributes_agree_with_native_pixels(tmp_path: Path, name: str) -> None:
    """Length, bits and planes are what PS3.3 C.7.6.3 makes of them."""
    made = transcoded(carried(name), tmp_path, EXPLICIT)
    frames = int(made.get("NumberOfFrames", 1))
    size = made.Rows * made.Columns * made.SamplesPerPixel * frames * made.BitsAllocated // 8
    assert len(made.PixelData) == size + size % 2
    assert made.HighBit == made.BitsStored - 1
    assert made.get("PlanarConfiguration", 0) == 0


def test_an_odd_length_has_one_zero_byte_of_padding(tmp_path: Path) -> None:
    """9 bytes of a picture are 10 in the file."""
    source = transcoded(make_frames(1, rows=3, bits=8), tmp_path, RLE)
    source.save_as(tmp_path / "compressed.dcm")
    (tmp_path / "target.dcm").unlink()
    made = transcoded(tmp_path / "compressed.dcm", tmp_path, EXPLICIT)
    assert (len(made.PixelData), made.PixelData[-1:]) == (10, b"\0")


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("SC_rgb_jpeg_dcmtk.dcm", "ISO_10918_1"),
        ("SC_rgb_dcmtk_+eb+cy+s4.dcm", "ISO_10918_1"),
        ("SC_rgb_jls_lossy_line.dcm", "ISO_14495_1"),
        ("JPEG2000.dcm", "ISO_15444_1"),
    ],
)
def test_a_lossy_picture_says_so_for_good(tmp_path: Path, name: str, method: str) -> None:
    """Its transfer syntax no longer tells that something was lost, so the attributes must."""
    source = dcmread(carried(name))
    for keyword in ("", "Ratio", "Method"):
        if f"LossyImageCompression{keyword}" in source:
            delattr(source, f"LossyImageCompression{keyword}")
    made = transcoded(source, tmp_path, EXPLICIT)
    assert made.LossyImageCompression == "01"
    assert made.LossyImageCompressionMethod == method
    assert float(made.LossyImageCompressionRatio) > 1


def test_colours_of_a_lossy_jpeg_come_as_rgb(tmp_path: Path) -> None:
    """Nobody has to know that YBR without JPEG around it is possible at all."""
    made = transcoded(carried("SC_rgb_dcmtk_+eb+cy+s4.dcm"), tmp_path, EXPLICIT)
    assert made.PhotometricInterpretation == "RGB"
    assert np.array_equal(
        made.pixel_array, pixel_array(carried("SC_rgb_dcmtk_+eb+cy+s4.dcm"), raw=False)
    )


def test_colours_that_lay_plane_by_plane_lie_pixel_by_pixel(tmp_path: Path) -> None:
    """Planar Configuration says how they lie now."""
    source = make_frames(1, rows=33, colours=3, bits=8)
    pixels = source.pixel_array
    source.PlanarConfiguration = 1
    source.PixelData = np.moveaxis(pixels, -1, 0).tobytes() + b"\0"
    made = transcoded(source, tmp_path, JPEG_LS)
    assert made.PlanarConfiguration == 0
    assert np.array_equal(made.pixel_array, pixels)


def test_what_is_told_of_a_loss_stays(tmp_path: Path) -> None:
    """An earlier loss is not forgotten, nor told anew."""
    made = transcoded(carried("JPEG2000.dcm"), tmp_path, JPEG_LS)
    told = dcmread(carried("JPEG2000.dcm"))
    assert made.LossyImageCompression == "01"
    assert made.LossyImageCompressionRatio == told.LossyImageCompressionRatio


@pytest.mark.parametrize("name", ["MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm"])
def test_a_lossless_picture_is_not_called_lossy(tmp_path: Path, name: str) -> None:
    """The attributes say 01 only where something was lost."""
    made = transcoded(carried(name), tmp_path, EXPLICIT)
    assert made.get("LossyImageCompression", "00") == "00"


def test_no_encoder_signs_its_work(tmp_path: Path) -> None:
    """OpenJPEG's comment is taken out again."""
    made = transcoded(make_instance(rows=64), tmp_path, JPEG_2000)
    (frame,) = generate_frames(made.PixelData, number_of_frames=1)
    assert remarks(frame) == ""


def test_a_text_keeps_its_bytes_from_implicit_to_explicit(tmp_path: Path) -> None:
    """VRs are written anew; values are not."""
    source = make_instance()
    source.SpecificCharacterSet = "ISO_IR 192"
    source.SeriesDescription = "Schädel axial"
    source.SliceThickness = "1.500"
    implicit = transcoded(source, tmp_path, IMPLICIT)
    implicit.save_as(tmp_path / "implicit.dcm")
    (tmp_path / "target.dcm").unlink()
    made = transcoded(tmp_path / "implicit.dcm", tmp_path, EXPLICIT)
    assert [str(element) for element in made] == [str(element) for element in source]


def test_an_instance_without_pixels_can_be_native_only(tmp_path: Path) -> None:
    """A report has nothing to compress."""
    source = make_instance()
    del source.PixelData
    assert transcoded(source, tmp_path, IMPLICIT).PatientID == source.PatientID
    (tmp_path / "target.dcm").unlink()
    with pytest.raises(CannotTranscode, match="no pixel data"):
        transcoded(source, tmp_path, RLE)
    assert not (tmp_path / "target.dcm").exists()


@pytest.mark.parametrize("syntax", [BASELINE, "1.2.840.10008.1.2.4.91", "1.2.3"])
def test_nothing_is_compressed_with_loss(tmp_path: Path, syntax: str) -> None:
    """Only what we write without loss is written at all."""
    with pytest.raises(CannotTranscode, match="do not write"):
        transcoded(make_instance(), tmp_path, syntax)


def test_a_picture_that_no_decoder_takes_leaves_no_target(tmp_path: Path) -> None:
    """12 bit JPEG: no decoder here reads it, and half a file is none."""
    with pytest.raises(CannotTranscode, match="decoder"):
        transcoded(carried("JPGExtended.dcm"), tmp_path, EXPLICIT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("frames", [1, 3])
def test_a_picture_with_other_frames_than_it_says_is_not_written(
    tmp_path: Path, frames: int
) -> None:
    """Number of Frames says 2: one is too few, and a codestream cannot be made up."""
    source = transcoded(make_frames(frames), tmp_path, RLE)
    source.NumberOfFrames = frames + 1
    source.save_as(tmp_path / "compressed.dcm")
    (tmp_path / "target.dcm").unlink()
    with pytest.raises(CannotTranscode):
        transcoded(tmp_path / "compressed.dcm", tmp_path, EXPLICIT)


@pytest.mark.parametrize(
    "empty", ["none", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "both"]
)
def test_frames_are_found_with_an_extended_offset_table_or_without(
    tmp_path: Path, empty: str
) -> None:
    """Either part may have no value (PS3.3 C.7.6.3.1.8): the frames are found all the same."""
    source = transcoded(make_frames(2, rows=33), tmp_path, RLE)
    frames = list(generate_frames(source.PixelData, number_of_frames=2))
    offsets, lengths = (0, 8 + len(frames[0])), map(len, frames)
    source.ExtendedOffsetTable = b"".join(one.to_bytes(8, "little") for one in offsets)
    source.ExtendedOffsetTableLengths = b"".join(one.to_bytes(8, "little") for one in lengths)
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if empty in (keyword, "both"):
            source[keyword].value = None
    source.save_as(tmp_path / "compressed.dcm")
    (tmp_path / "target.dcm").unlink()
    made = transcoded(tmp_path / "compressed.dcm", tmp_path, EXPLICIT)
    assert "ExtendedOffsetTable" not in made
    assert np.array_equal(made.pixel_array, make_frames(2, rows=33).pixel_array)


def test_samples_that_do_not_lie_at_the_bottom_are_not_touched(tmp_path: Path) -> None:
    """A High Bit above Bits Stored: codecs would take the wrong bits without a word."""
    source = make_instance()
    source.HighBit = 15
    with pytest.raises(CannotTranscode, match="High Bit"):
        transcoded(source, tmp_path, JPEG_LS)


def test_a_frame_that_is_too_large_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows and Columns are a stranger's: what they ask for is bounded."""
    monkeypatch.setattr(images, "MOST_FRAME_BYTES", 511)
    with pytest.raises(CannotTranscode, match="a frame has more than"):
        transcoded(make_instance(rows=16), tmp_path, RLE)


def test_memory_is_that_of_a_frame_not_of_the_file(tmp_path: Path) -> None:
    """64 frames of 128 KiB pass with less than 3 MiB at any time, there and back."""
    source = write_instance(tmp_path / "source.dcm", make_frames(64, rows=256))
    tracemalloc.start()
    try:
        transcode(source, tmp_path / "rle.dcm", RLE)
        transcode(tmp_path / "rle.dcm", tmp_path / "native.dcm", EXPLICIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * 1024 * 1024
    assert np.array_equal(pixel_array(source), pixel_array(tmp_path / "native.dcm"))


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    """The target is made, never replaced; a failure removes only what was made."""
    (tmp_path / "target.dcm").write_bytes(b"somebody's")
    with pytest.raises(FileExistsError):
        transcoded(make_instance(), tmp_path, RLE)
    assert (tmp_path / "target.dcm").read_bytes() == b"somebody's"


@pytest.mark.peer
@pytest.mark.parametrize(("syntax", "program"), [(RLE, "dcmdrle"), (JPEG_LS, "dcmdjpls")])
@pytest.mark.parametrize("colours", [1, 3])
def test_dcmtk_decodes_what_we_write(
    tmp_path: Path, syntax: str, program: str, colours: int
) -> None:
    """Another toolkit gives the samples that went in."""
    assert shutil.which(program), "install DCMTK"
    source = make_frames(2, rows=33, colours=colours, bits=16 if colours == 1 else 8)
    transcoded(source, tmp_path, syntax)
    subprocess.run(
        [program, str(tmp_path / "target.dcm"), str(tmp_path / "dcmtk.dcm")], check=True, timeout=30
    )
    assert np.array_equal(source.pixel_array, dcmread(tmp_path / "dcmtk.dcm").pixel_array)
