"""A frame as PNG: what a person sees is what the file says."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from pydicom import dcmread
from pydicom.pixels import apply_color_lut, pixel_array

from node.pixels.render import render
from node.pixels.source import CannotDecode
from tests.factories import make_instance, write_instance
from tests.pixels.images import carried, make_frames


def drawn(png: bytes) -> np.ndarray:
    """Read a PNG with another library; it must be a whole one with nothing else in it."""
    picture = Picture.open(io.BytesIO(png))
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


def test_without_a_window_every_value_shows(tmp_path: Path) -> None:
    """The smallest is black and the largest white."""
    grey = drawn(render(ramp(tmp_path)))
    assert (grey[0, 0], grey[-1, -1]) == (0, 255)
    assert (np.diff(grey.ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize("window", [None, (128.5, 2.0)])
def test_a_window_is_that_of_the_file_or_of_the_asker(
    tmp_path: Path, window: tuple[float, float] | None
) -> None:
    """PS3.3 C.11.2.1.2.1: a width of 2 at 128.5 has 127.5 as its black end and 128.5 its white."""
    told = {} if window else {"WindowCenter": [128.5, 9], "WindowWidth": [2, 9]}
    grey = drawn(render(ramp(tmp_path, **told), window=window)).ravel()
    assert set(grey[:128]) == {0}
    assert set(grey[129:]) == {255}


def test_a_window_is_in_rescaled_units(tmp_path: Path) -> None:
    """HU, not stored values."""
    path = ramp(tmp_path, RescaleIntercept=-1000, WindowCenter=-900, WindowWidth=2)
    grey = drawn(render(path)).ravel()
    assert set(grey[:98]) == {0}
    assert set(grey[102:]) == {255}


def test_monochrome1_is_white_at_the_bottom(tmp_path: Path) -> None:
    """Its smallest value is white (PS3.3 C.7.6.3.1.2)."""
    grey = drawn(render(ramp(tmp_path, PhotometricInterpretation="MONOCHROME1")))
    assert (grey[0, 0], grey[-1, -1]) == (255, 0)


@pytest.mark.parametrize(
    "name", ["SC_rgb_rle_2frame.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_ybr_full_422_uncompressed.dcm"]
)
def test_colours_are_drawn_as_rgb(name: str) -> None:
    """Whatever space they are stored in."""
    pixels = pixel_array(carried(name), raw=False, index=0)
    assert np.array_equal(drawn(render(carried(name))), pixels)


def test_a_palette_is_looked_up() -> None:
    """Sixteen bits of a palette's entry become eight."""
    source = dcmread(carried("examples_palette.dcm"))
    coloured = apply_color_lut(source.pixel_array, source)
    shift = 8 * (coloured.dtype.itemsize - 1)
    assert np.array_equal(drawn(render(carried("examples_palette.dcm"))), coloured >> shift)


def test_each_frame_can_be_asked_for(tmp_path: Path) -> None:
    """Frames count from 0; one that is not there is refused."""
    path = write_instance(tmp_path / "frames.dcm", make_frames(3))
    assert len({render(path, frame) for frame in range(3)}) == 3
    for frame in (-1, 3):
        with pytest.raises(CannotDecode, match="no such frame"):
            render(path, frame)


@pytest.mark.parametrize("name", ["image_dfl.dcm", "ExplVR_BigEnd.dcm", "JPGExtended.dcm"])
def test_what_cannot_be_drawn_is_refused_in_words(name: str) -> None:
    """Deflated, Big Endian and what has no decoder: a reason, no broken picture."""
    with pytest.raises(CannotDecode):
        render(carried(name))
