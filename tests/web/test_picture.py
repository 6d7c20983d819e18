"""What a worker of the web role tells of an original: its looks, and what its route makes of it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from pydicom import dcmread
from pydicom.pixels import apply_color_lut, pixel_array

from node.web.asked import Compare, Draw, compare, draw
from tests.factories import make_instance, write_instance
from tests.pixels.images import carried, make_frames

WIDE = (128.0, 256.0)


def drawn(path: Path, frame: int = 0, window: tuple[float, float] | None = None) -> np.ndarray:
    """Draw, and read the PNG with another library: a whole one with nothing else in it."""
    picture = Picture.open(io.BytesIO(draw(Draw(path, frame, window)).png))
    assert picture.format == "PNG"
    assert picture.info == {}
    return np.asarray(picture)


def ramp(folder: Path, **attributes: object) -> Path:
    """Write an image whose pixels are 0 to 255 by 1."""
    dataset = make_instance(rows=16)
    dataset.PixelData = np.arange(256, dtype=np.uint16).tobytes()
    dataset.RescaleIntercept = 0
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return write_instance(folder / "ramp.dcm", dataset)


def test_without_a_window_nearly_every_value_shows(tmp_path: Path) -> None:
    """The smallest is black, the largest white, and no value is drawn darker than a smaller one."""
    grey = drawn(ramp(tmp_path)).ravel().astype(int)
    assert (grey[0], grey[-1]) == (0, 255)
    assert (np.diff(grey) >= 0).all()
    assert len(set(grey)) > 200


@pytest.mark.parametrize("window", [None, (128.5, 2.0)])
def test_a_window_is_that_of_the_file_or_of_the_asker(
    tmp_path: Path, window: tuple[float, float] | None
) -> None:
    """PS3.3 C.11.2.1.2.1: a width of 2 at 128.5 has 127.5 as its black end and 128.5 its white."""
    told = {} if window else {"WindowCenter": [128.5, 9], "WindowWidth": [2, 9]}
    grey = drawn(ramp(tmp_path, **told), window=window).ravel()
    assert set(grey[:128]) == {0}
    assert set(grey[129:]) == {255}


def test_a_window_is_in_rescaled_units(tmp_path: Path) -> None:
    """HU, not stored values."""
    path = ramp(tmp_path, RescaleIntercept=-1000, WindowCenter=-900, WindowWidth=2)
    grey = drawn(path).ravel()
    assert set(grey[:98]) == {0}
    assert set(grey[102:]) == {255}


def test_monochrome1_is_white_at_the_bottom(tmp_path: Path) -> None:
    """Its smallest value is white (PS3.3 C.7.6.3.1.2)."""
    path = ramp(tmp_path, PhotometricInterpretation="MONOCHROME1")
    grey = drawn(path, window=WIDE)
    assert (grey[0, 0], grey[-1, -1]) == (255, 0)


@pytest.mark.parametrize(
    "name", ["SC_rgb_rle_2frame.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_ybr_full_422_uncompressed.dcm"]
)
def test_colours_are_drawn_as_rgb(name: str) -> None:
    """Whatever space they are stored in."""
    assert np.array_equal(drawn(carried(name)), pixel_array(carried(name), index=0))


@pytest.mark.parametrize(
    ("name", "bits"), [("SC_rgb_rle_16bit.dcm", 16), ("SC_rgb_rle_32bit.dcm", 32)]
)
def test_deep_colours_are_drawn_by_their_upper_bits(name: str, bits: int) -> None:
    """A screen has eight of them."""
    assert np.array_equal(drawn(carried(name)), pixel_array(carried(name)) >> (bits - 8))


def test_a_palette_is_looked_up() -> None:
    """Sixteen bits of a palette's entry become eight."""
    source = dcmread(carried("examples_palette.dcm"))
    coloured = apply_color_lut(source.pixel_array, source)
    shift = 8 * (coloured.dtype.itemsize - 1)
    assert np.array_equal(drawn(carried("examples_palette.dcm")), coloured >> shift)


def test_each_frame_can_be_asked_for(tmp_path: Path) -> None:
    """Frames count from 0; beyond the ends the nearest is drawn."""
    path = write_instance(tmp_path / "frames.dcm", make_frames(3))
    frames = [drawn(path, frame).tobytes() for frame in (-1, 0, 1, 2, 3)]
    assert len(set(frames)) == 3
    assert frames[0] == frames[1]
    assert frames[3] == frames[4]


def test_a_large_picture_is_drawn_smaller(tmp_path: Path) -> None:
    """A page needs no more than a screen shows."""
    path = write_instance(tmp_path / "large.dcm", make_instance(rows=1500))
    assert drawn(path).shape == (750, 750)


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "JPGExtended.dcm"])
def test_what_cannot_be_drawn_is_an_error_and_no_broken_picture(name: str) -> None:
    """The page then says that there is no image."""
    with pytest.raises((ValueError, RuntimeError)):
        drawn(carried(name))


def test_the_comparison_assumes_what_the_route_assumes(tmp_path: Path) -> None:
    """A Patient ID beyond ASCII without a declared character set, read as the route says."""
    dataset = make_instance()
    dataset.add_new(0x00100020, "LO", "Müller".encode())
    path = write_instance(tmp_path / "one.dcm", dataset)

    def patient_id(assumed: str) -> str | None:
        told = compare(Compare(path, "basic", None, "", assumed))
        assert not told.problem
        (found,) = [one["before"] for one in told.changes if one["keyword"] == "PatientID"]
        return found

    assert patient_id("ISO_IR 192") == "Müller"
    assert patient_id("") != "Müller"
