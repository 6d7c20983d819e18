"""Decoded pixels of two files, compared. Only for a file that was transcoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.pixels.utils import pixel_array


def are_equal(source: Path, output: Path) -> bool:
    """Tell whether both files decode to the same pixels; what cannot be decoded is not equal.

    Colours are compared as they were stored where both tell the same colour space, else as RGB.
    """
    try:
        header = (dcmread(path, stop_before_pixels=True) for path in (source, output))
        spaces = {str(dataset.get("PhotometricInterpretation")) for dataset in header}
        raw = len(spaces) == 1
        return np.array_equal(pixel_array(source, raw=raw), pixel_array(output, raw=raw))
    except Exception:  # noqa: BLE001 -- decoders raise what they like; unproven is not equal
        return False
