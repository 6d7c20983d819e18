"""An image read for its pixels: its attributes, and its frames one at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import as_pixel_options

from node.pixels.syntaxes import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT_LITTLE,
    JPEG_2000_FAMILY,
    JPEG_FAMILY,
    JPEG_LS,
    JPEG_LS_NEAR,
    LOSSY_JPEG,
    NATIVE,
    RLE,
)

#: A decoded frame may have so many bytes: a codec needs several times that, and the validator's
#: comparison again, within what a job may use (node/process/jobs.py).
MOST_FRAME_BYTES = 64 * 1024 * 1024
_PIXEL_DATA = 0x7FE00010
_KEYWORDS = {
    _PIXEL_DATA: "PixelData",
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
}
#: One decoder for each family: which one is used must not depend on what else is installed, and
#: GDCM ends the process where others raise. It is the only one that we have for JPEG.
_DECODERS = dict.fromkeys(JPEG_2000_FAMILY, "pylibjpeg") | {
    RLE: "pylibjpeg", JPEG_LS: "pyjpegls", JPEG_LS_NEAR: "pyjpegls",
    **dict.fromkeys(JPEG_FAMILY, "gdcm"),
}  # fmt: skip

Pixels = npt.NDArray[Any]


class CannotDecode(Exception):  # noqa: N818 -- a fact about the instance
    """Its pixels cannot be had; the text says why, and holds no value of the instance."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame: (rows, columns) or (rows, columns, samples), and what describes it now."""

    pixels: Pixels
    photometric: str
    bits_allocated: int
    bits_stored: int


class Image:
    """A DICOM file in Little Endian, open at its pixel data.

    `dataset` is everything before the pixel data; `pixel_tag` is 0 where there are none, and
    `pixel_bytes` is what they take in the file.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("rb")
        try:
            self._open()
        except BaseException:
            self._file.close()
            raise

    def _open(self) -> None:
        with quiet():
            self.dataset: Dataset = dcmread(self._file, stop_before_pixels=True)
        self.syntax = str(self.dataset.file_meta.TransferSyntaxUID)
        if self.syntax in (DEFLATED, BIG_ENDIAN):
            raise CannotDecode("it is deflated or Big Endian, which only the engine reads")
        implicit = self.syntax != EXPLICIT_LITTLE and self.syntax in NATIVE
        head = self._file.read(8 if implicit else 12)
        group, element = (int.from_bytes(head[at : at + 2], "little") for at in (0, 2))
        self.pixel_tag = group << 16 | element if head else 0
        self.pixel_vr = "OW" if implicit else head[4:6].decode("latin-1")
        self.pixels_at = self._file.tell()
        self.pixel_bytes = int.from_bytes(head[-4:], "little") if head else 0
        if self.pixel_bytes == 0xFFFFFFFF:  # noqa: PLR2004 -- undefined length
            self.pixel_bytes = self._file.seek(0, 2) - self.pixels_at

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def frame_count(self) -> int:
        """Number of Frames, 1 if it says none."""
        return int(self.dataset.get("NumberOfFrames") or 1)

    def frames(self) -> Iterator[Frame]:
        """Decode frame after frame.

        Colours of a lossy JPEG come as RGB, all others as they were stored.

        Raises
        ------
        CannotDecode
            If there are no pixels, no decoder, too many bytes in a frame, or broken data.
        """
        options = self._options()
        self._file.seek(self.pixels_at)
        try:
            with quiet():
                decoder = get_decoder(self.syntax)
                raw = self.syntax not in LOSSY_JPEG
                found = decoder.iter_array(
                    self._file,
                    # By index: pydicom 3.0 stumbles over read-only frames when it goes through all.
                    indices=range(self.frame_count),
                    raw=raw,
                    decoding_plugin=_DECODERS.get(self.syntax, ""),
                    **options,
                )
                for pixels, told in found:
                    yield _frame(pixels, told)
        except MemoryError:
            raise CannotDecode("a frame needs more memory than a worker may use") from None
        except (CannotDecode, GeneratorExit):
            raise
        except NotImplementedError:
            raise CannotDecode("there is no decoder for it") from None
        except Exception as error:  # noqa: BLE001 -- decoders raise what they like, with values in it
            raise CannotDecode(f"its decoder failed ({type(error).__name__})") from None

    def first_codestream(self) -> bytes:
        """Give the first frame's codestream of compressed pixel data."""
        self._file.seek(self.pixels_at)
        return next(generate_frames(self._file, number_of_frames=self.frame_count), b"")

    def raw_bytes(self) -> Iterator[bytes]:
        """Give native pixel data as they are, piece by piece."""
        self._file.seek(self.pixels_at)
        left = self.pixel_bytes
        while left and (piece := self._file.read(min(left, 1 << 20))):
            left -= len(piece)
            yield piece

    def _options(self) -> dict[str, Any]:
        keyword = _KEYWORDS.get(self.pixel_tag)
        if keyword is None:
            raise CannotDecode("it has no pixel data")
        dataset = self.dataset
        try:
            with quiet():
                options = as_pixel_options(dataset)
            size = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel
            high = dataset.get(
                "HighBit", dataset.BitsStored - 1 if "BitsStored" in dataset else None
            )
        except Exception:  # noqa: BLE001 -- pydicom raises what it likes about values that are none
            raise CannotDecode("its image is not described as DICOM asks") from None
        if size * ((options["bits_allocated"] + 7) // 8) > MOST_FRAME_BYTES:
            raise CannotDecode(f"a frame has more than {MOST_FRAME_BYTES >> 20} MiB")
        if keyword == "PixelData" and high != options["bits_stored"] - 1:
            raise CannotDecode("its High Bit is not Bits Stored less one, which codecs ignore")
        options |= {"pixel_keyword": keyword, "pixel_vr": self.pixel_vr}
        if not all(options.get("extended_offsets", ())):  # a table without a value finds no frame
            del options["extended_offsets"]
        return options


def quiet() -> warnings.catch_warnings[None]:
    """Keep pydicom's remarks about odd values out of the log; what matters is raised."""
    return warnings.catch_warnings(action="ignore")


def _frame(pixels: Pixels, told: dict[str, Any]) -> Frame:
    photometric = str(told["photometric_interpretation"])
    if photometric == "YBR_FULL_422":  # decoded, every pixel has its own chrominance
        photometric = "YBR_FULL"
    allocated = int(told["bits_allocated"])
    if pixels.dtype.itemsize * 8 != allocated and allocated > 1:
        raise CannotDecode("its decoder gives samples of another size than it says")
    little = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    return Frame(little, photometric, allocated, int(told.get("bits_stored", allocated)))
