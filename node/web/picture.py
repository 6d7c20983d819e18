"""What a worker of the web role does with an original: draw a frame, or tell what would change."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array

from node.deid import Held, Quarantined, preview
from node.profile.key import KEY_BYTES
from node.profile.load import load_profile
from node.profile.recipe import Recipe
from node.web.asked import Compare, Compared, Draw, Drawn
from node.web.png import png

#: A picture is drawn at most so many pixels wide or high.
LONGEST = 1024
#: Without a window of its own an image is shown between these percentiles of its values.
LOW, HIGH = 1, 99
#: Dimensions of pixels that have a colour: rows, columns, samples.
_COLOUR_DIMENSIONS = 3
#: What a window of one value spans (PS3.3 C.11.2.1.2.1), for it is divided by.
_NARROWEST = 1e-6


def draw(message: Draw) -> Drawn:
    """Draw one frame of an image; raises whatever pydicom raises where that cannot be."""
    header = pydicom.dcmread(message.path, stop_before_pixels=True, force=True)
    frames = int(header.get("NumberOfFrames") or 1)
    pixels = pixel_array(message.path, index=min(max(message.frame, 0), frames - 1))
    step = max(1, -(-max(pixels.shape[:2]) // LONGEST))
    pixels = pixels[::step, ::step]
    photometric = header.get("PhotometricInterpretation")
    if photometric == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, header)
        return Drawn(png(_eight_bits(pixels, 8 * pixels.dtype.itemsize)), frames, None)
    if pixels.ndim == _COLOUR_DIMENSIONS:
        return Drawn(png(_eight_bits(pixels, int(header.BitsStored))), frames, None)
    values = apply_modality_lut(pixels, header).astype(np.float32)
    window = message.window or _own_window(header, values)
    grey = _through_window(values, *window)
    return Drawn(png(255 - grey if photometric == "MONOCHROME1" else grey), frames, window)


def compare(message: Compare) -> Compared:
    """Tell what would change; the web role has no pseudonym key, so it takes a random one."""
    profile = load_profile(message.profile, message.beside)
    key = secrets.token_bytes(KEY_BYTES)
    recipe = Recipe(profile, key, message.default_issuer, message.assume_charset)
    try:
        changes = preview(message.path, recipe)
    except (Quarantined, Held) as outcome:
        return Compared(problem=outcome.reason)
    return Compared(tuple(asdict(change) for change in changes))


def _own_window(header: Any, values: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Give the image's first window (PS3.3 C.11.2.1.2), else one that its values fill."""
    try:
        centre, width = header.WindowCenter, header.WindowWidth
        if isinstance(centre, pydicom.multival.MultiValue):
            centre, width = centre[0], width[0]
        return float(centre), max(float(width), 1.0)
    except (AttributeError, TypeError, ValueError, IndexError):
        low, high = (float(value) for value in np.percentile(values, (LOW, HIGH)))
        return (low + high) / 2, max(high - low, 1.0)


def _through_window(
    values: npt.NDArray[np.float32], centre: float, width: float
) -> npt.NDArray[np.uint8]:
    """Apply the linear function of PS3.3 C.11.2.1.2.1."""
    span = max(width - 1, _NARROWEST)
    scaled = ((values - (centre - 0.5)) / span + 0.5) * 255
    grey: npt.NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return grey


def _eight_bits(colours: npt.NDArray[np.unsignedinteger], bits: int) -> npt.NDArray[np.uint8]:
    """Give the upper eight of the bits that each value has."""
    return (colours >> max(bits - 8, 0)).astype(np.uint8)
