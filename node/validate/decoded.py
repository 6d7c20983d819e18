"""Decoded pixels of two files, compared. Only for a file that was transcoded."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import iter_pixels

#: Not GDCM where there is another: it ends the process where others raise. And decoders of what
#: was compressed with loss may differ in a bit.
_DECODER = {
    **dict.fromkeys(("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"), "pyjpegls"),
    **dict.fromkeys(("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"), "pylibjpeg"),
}
#: Its frames cannot be found in the file, only in the data set.
_DEFLATED = "1.2.840.10008.1.2.1.99"
#: What decoding has no reason to change, and what it would show another picture by.
_DESCRIPTION = ("SamplesPerPixel", "PixelRepresentation", "BitsStored", "HighBit")
_LOSSY = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")


def are_equal(source: Path, output: Path) -> bool:
    """Tell whether both files show the same picture; what cannot be decoded is not equal.

    Frames are compared one at a time: as they were stored where both tell the same colour space,
    else as RGB. What describes them must agree too, and no loss may be forgotten.
    """
    try:
        before, after = (dcmread(path, stop_before_pixels=True) for path in (source, output))
        if not (_is_described_alike(before, after) and _is_loss_told(before, after)):
            return False
        raw = before.PhotometricInterpretation == after.PhotometricInterpretation
        frames = (
            iter_pixels(
                dcmread(path) if _syntax(header) == _DEFLATED else path,
                raw=raw,
                # By index: pydicom 3.0 stumbles over read-only frames when it goes through all.
                indices=range(int(header.get("NumberOfFrames") or 1)),
                decoding_plugin=_DECODER.get(_syntax(header), ""),
            )
            for path, header in ((source, before), (output, after))
        )
        return all(
            a is not None and b is not None and np.array_equal(a, b)
            for a, b in zip_longest(*frames)
        )
    except Exception:  # noqa: BLE001 -- decoders raise what they like; unproven is not equal
        return False


def _is_described_alike(before: Dataset, after: Dataset) -> bool:
    """Tell whether the samples mean the same: only among colours may decoding change the space."""
    spaces = {str(one.PhotometricInterpretation) for one in (before, after)}
    coloured = all(space == "RGB" or space.startswith("YBR_") for space in spaces)
    return (len(spaces) == 1 or coloured) and all(
        before.get(keyword) == after.get(keyword) for keyword in _DESCRIPTION
    )


def _is_loss_told(before: Dataset, after: Dataset) -> bool:
    lossy = before.get("LossyImageCompression") == "01" or _syntax(before) in _LOSSY
    return not lossy or after.get("LossyImageCompression") == "01"


def _syntax(dataset: Dataset) -> str:
    return str(dataset.file_meta.TransferSyntaxUID)
