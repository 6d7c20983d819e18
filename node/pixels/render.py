"""One frame as a picture for a person: windowed, coloured, eight bits, PNG."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, convert_color_space

from node.pixels.png import png
from node.pixels.source import CannotDecode, Frame, Image, Pixels, quiet

_WHITE = 255
_LEAST_WIDTH = 1.0

Bytes = npt.NDArray[np.uint8]


def render(path: Path, frame: int = 0, window: tuple[float, float] | None = None) -> bytes:
    """Draw a frame of a DICOM file in Little Endian as PNG.

    Parameters
    ----------
    frame
        Counted from 0.
    window
        Centre and width, in the units that rescaling gives (HU for CT); without it the file's
        first window, else the frame's own smallest to largest value. For grey pictures only.

    Raises
    ------
    CannotDecode
        If there is no such frame or no way to draw it; the text holds no value of the file.
    """
    with Image(path) as image:
        if not 0 <= frame < image.frame_count:
            raise CannotDecode("there is no such frame")
        (decoded,) = image.frames((frame,))
        try:
            with quiet():
                return png(_drawn(decoded, image.dataset, window))
        except CannotDecode:
            raise
        except Exception as error:  # noqa: BLE001 -- pydicom's words may hold values
            raise CannotDecode(f"it cannot be drawn ({type(error).__name__})") from None


def _drawn(frame: Frame, dataset: Dataset, window: tuple[float, float] | None) -> Bytes:
    photometric = frame.photometric
    if photometric.startswith("MONOCHROME"):
        values = apply_modality_lut(frame.pixels, dataset).astype(np.float64)
        grey = _windowed(values, *(window or _window_of(dataset, values)))
        return _WHITE - grey if photometric == "MONOCHROME1" else grey
    if photometric == "PALETTE COLOR":
        coloured: Pixels = apply_color_lut(frame.pixels, dataset)
        return _eight_bits(coloured, coloured.dtype.itemsize * 8)
    if photometric in ("YBR_FULL", "RGB"):
        colours = _eight_bits(frame.pixels, frame.bits_stored)
        if photometric == "YBR_FULL":
            colours = convert_color_space(colours, "YBR_FULL", "RGB")
        return colours
    raise CannotDecode("its Photometric Interpretation is none that we draw")


def _window_of(dataset: Dataset, values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Give the first window that the file names, else what shows every value."""
    centre, width = (_first(dataset.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if centre is not None and width is not None and width >= _LEAST_WIDTH:
        return centre, width
    low, high = float(values.min()), float(values.max())
    return (low + high + 1) / 2, high - low + 1


def _first(value: Any) -> float | None:
    """Give the first of the values that an attribute has, or None."""
    first = value[0] if isinstance(value, MultiValue) and value else value
    return float(first) if isinstance(first, int | float | Decimal) else None


def _windowed(values: npt.NDArray[np.float64], centre: float, width: float) -> Bytes:
    """Apply the linear function of PS3.3 C.11.2.1.2.1."""
    span = max(width, _LEAST_WIDTH + 1e-9) - 1
    scaled = ((values - (centre - 0.5)) / span + 0.5) * _WHITE
    return np.clip(np.nan_to_num(scaled), 0, _WHITE).astype(np.uint8)


def _eight_bits(pixels: Pixels, bits: int) -> Bytes:
    return (pixels >> max(bits - 8, 0)).astype(np.uint8)
