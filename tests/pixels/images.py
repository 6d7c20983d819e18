"""Images in every compression, made by others: the test files that pydicom carries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.uid import JPEGBaseline8Bit

from tests.factories import make_instance

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
RLE, JPEG_LS, JPEG_2000 = (f"1.2.840.10008.1.2.{n}" for n in ("5", "4.80", "4.90"))
BASELINE = str(JPEGBaseline8Bit)


def carried(name: str) -> Path:
    """Give a file of pydicom's own; none is fetched."""
    return Path(str(get_testdata_file(name, download=False)))


def make_frames(frames: int, rows: int = 16, colours: int = 1, bits: int = 16) -> FileDataset:
    """Build an image of several frames of chance."""
    dataset = make_instance(rows=rows)
    shape = (frames, rows, rows, colours)[: 3 if colours == 1 else 4]
    kind = np.uint8 if bits == 8 else np.uint16
    pixels = np.random.default_rng(1).integers(0, 1 << min(bits, 12), shape, dtype=kind)
    dataset.NumberOfFrames = frames
    dataset.BitsAllocated, dataset.BitsStored = bits, min(bits, 12)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.SamplesPerPixel = colours
    if colours == 3:
        dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
    content = pixels.tobytes()
    dataset.PixelData = content + bytes(len(content) % 2)
    dataset["PixelData"].VR = "OW" if bits == 16 else "OB"
    return dataset
