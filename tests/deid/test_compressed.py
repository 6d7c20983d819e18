"""Compressed pixel data: what the picture is made of, and nothing beside, between or behind it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000, JPEGBaseline8Bit, RLELossless

from node.deid import Quarantined, codestream
from node.deid.syntax import Codec
from tests.deid import kit

SECRET = b"Quillfeather^Zebedee"


def segment(marker: int, content: bytes = SECRET) -> bytes:
    """Make a marker segment."""
    return struct.pack(">HH", marker, 2 + len(content)) + content


@pytest.mark.parametrize("marker", [0xFFFE, 0xFFE1, 0xFFEF, 0xFFFD, 0xFF02, 0xFFDE, 0xFFC8, 0xFFF0])
def test_no_segment_stays_that_a_jpeg_is_not_made_of(marker: int) -> None:
    """COM and APPn, and also what is reserved, for extensions or for hierarchical images."""
    dataset = kit.bundled("SC_rgb_jpeg_dcmtk.dcm")
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    before = codestream.strip(Codec.JPEG, frame)
    planted = before[:2] + segment(marker) + before[2:]
    assert codestream.strip(Codec.JPEG, planted) == before


@pytest.mark.parametrize("marker", [0xFF64, 0xFF65, 0xFF70, 0xFF54, 0xFF6F])
def test_no_segment_stays_that_a_jpeg_2000_is_not_made_of(marker: int) -> None:
    """COM, and what no part of the standard defines."""
    dataset = kit.bundled("J2K_pixelrep_mismatch.dcm")
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    before = codestream.strip(Codec.JPEG_2000, frame)
    at = before.index(b"\xff\x90")
    planted = before[:at] + segment(marker) + before[at:]
    assert codestream.strip(Codec.JPEG_2000, planted) == before


def test_nothing_lies_behind_or_between_the_segments_of_an_rle_frame(tmp_path: Path) -> None:
    """The header tells segments and no more, and each ends with its last pixel."""
    dataset = kit.bundled("MR_small_RLE.dcm")
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    count, *offsets = struct.unpack_from("<16L", frame)
    first = [*offsets[:1], *(offset + len(SECRET) for offset in offsets[1:count])]
    between = struct.pack("<16L", count, *first, *offsets[count:])
    between += frame[64 : offsets[1]] + SECRET + frame[offsets[1] :]
    hidden = struct.unpack("<L", SECRET[:4])
    inside = struct.pack("<16L", count, *offsets[:14], *hidden) + frame[64:]
    for planted in (frame + SECRET, between, inside):
        dataset.PixelData = encapsulate([planted])
        dataset["PixelData"].is_undefined_length = True
        output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
        content = (tmp_path / "target.dcm").read_bytes()
        assert SECRET not in content
        assert struct.pack("<L", *hidden) not in content
        assert (output.pixel_array == kit.bundled("MR_small_RLE.dcm").pixel_array).all()


@pytest.mark.parametrize("syntax", [RLELossless, JPEGBaseline8Bit, JPEG2000])
def test_a_fragment_that_is_no_frame_quarantines(syntax: str, tmp_path: Path) -> None:
    """As many frames as the image says, and nothing beside them."""
    name = {RLELossless: "MR_small_RLE.dcm", JPEGBaseline8Bit: "SC_rgb_jpeg_dcmtk.dcm",
            JPEG2000: "JPEG2000.dcm"}[syntax]  # fmt: skip
    dataset = kit.bundled(name)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame, frame])
    with pytest.raises(Quarantined, match="number of frames"):
        kit.run(tmp_path, dataset, kit.recipe(tmp_path))


@pytest.mark.parametrize(
    "damage",
    [
        lambda frame: frame[:50],
        lambda frame: frame[:80],
        lambda frame: b"\x07" + frame[1:],
        lambda frame: frame[:4] + b"\x41" + frame[5:],
        lambda frame: frame[:8] + frame[4:8] + frame[12:],
    ],
)
def test_an_rle_frame_that_is_not_understood_is_quarantined(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    """Cut short, with another number of segments, with segments out of place."""
    dataset = kit.bundled("MR_small_RLE.dcm")
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([damage(frame)])
    with pytest.raises(Quarantined):
        kit.run(tmp_path, dataset, kit.recipe(tmp_path))


def test_nothing_follows_the_end_of_a_deflated_frame() -> None:
    """A deflated stream ends where it says so."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = deflater.compress(bytes(5000)) + deflater.flush()
    assert codestream.strip(Codec.DEFLATE, stream + SECRET) == stream
    assert codestream.strip(Codec.DEFLATE, stream) == stream
    for damaged in (stream[:-2], b"\xff" + stream):
        with pytest.raises(Quarantined):
            codestream.strip(Codec.DEFLATE, damaged)
