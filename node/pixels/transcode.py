"""A de-identified file written again in another transfer syntax; what was not lost stays so.

What goes in is the engine's output, so there is nothing of the original in it. Frames go through
one at a time: memory is bounded by one frame, not by the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import UID

from node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.pixels import codestream
from node.pixels.source import CannotDecode, Frame, Image, quiet
from node.pixels.syntaxes import (
    IMPLICIT_LITTLE,
    JPEG_2000,
    JPEG_LS,
    JPEG_LS_NEAR,
    LOSSY_JPEG,
    MAYBE_LOSSY,
    NATIVE,
    RLE,
    WRITABLE,
)

#: One encoder for each: GDCM's end the process where these raise.
_ENCODERS = {RLE: "pylibjpeg", JPEG_LS: "pyjpegls", JPEG_2000: "pylibjpeg"}
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
_MOST = 0xFFFFFFFE
#: Defined Terms of (0028,2114), PS3.3 C.7.6.1.1.5.
_METHODS = {JPEG_LS_NEAR: "ISO_14495_1", "1.2.840.10008.1.2.4.203": "ISO_15444_15"}
_METHODS |= {"1.2.840.10008.1.2.4.91": "ISO_15444_1"} | dict.fromkeys(LOSSY_JPEG, "ISO_10918_1")


class CannotTranscode(Exception):  # noqa: N818 -- a fact about the instance
    """It cannot be written so; the text says why, and holds no value of the instance."""


def transcode(source: Path, target: Path, syntax: str) -> None:
    """Write `source` to the new file `target` in transfer syntax `syntax`.

    Raises
    ------
    CannotTranscode
        If the syntax is none that we write, or the instance does not fit it or cannot be decoded.
    FileExistsError
        If there is a target already. Other OSErrors are the disk's. No part of a target stays.
    """
    if syntax not in WRITABLE:
        raise CannotTranscode(f"we do not write {UID(syntax).name}")
    fd = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            _transcode(source, file, syntax)
    except BaseException:
        target.unlink()
        raise


def _transcode(source: Path, file: BinaryIO, syntax: str) -> None:
    try:
        with Image(source) as image:
            if syntax in NATIVE and (image.syntax in NATIVE or not image.pixel_tag):
                _rewrite(image, file, syntax)
            else:
                _recode(image, file, syntax)
    except CannotDecode as error:
        raise CannotTranscode(str(error)) from None
    except CannotTranscode:
        raise
    except MemoryError:
        raise CannotTranscode("it needs more memory than a worker may use") from None
    except OSError as error:
        if error.errno is None:  # a parser's, not the disk's
            raise CannotTranscode("it cannot be read again") from None
        raise
    except Exception as error:  # noqa: BLE001 -- pydicom and codecs raise what they like, with values
        raise CannotTranscode(f"writing it failed ({type(error).__name__})") from None


def _rewrite(image: Image, file: BinaryIO, syntax: str) -> None:
    """Write a file without compressed pixels natively: other VRs, the same pixel data."""
    _write_head(image.dataset, file, syntax)
    if image.pixel_tag:
        tag = b"".join(part.to_bytes(2, "little") for part in divmod(image.pixel_tag, 1 << 16))
        vr = {0x7FE00008: b"OF", 0x7FE00009: b"OD"}.get(image.pixel_tag, b"OW")
        _write_native(file, tag, vr, syntax, image.pixel_bytes, image.raw_bytes())


def _recode(image: Image, file: BinaryIO, syntax: str) -> None:
    """Decode every frame and write it, natively or compressed."""
    if not image.pixel_tag:
        raise CannotTranscode("it has no pixel data to compress")
    frames = image.frames()
    first = next(frames, None)
    if first is None:
        raise CannotTranscode("it has no frame")
    _describe(image, first)
    _write_head(image.dataset, file, syntax)
    every = _alike(chain((first,), frames), first)
    if syntax in NATIVE:
        length = first.pixels.nbytes * image.frame_count
        vr = b"OB" if first.bits_allocated <= 8 else b"OW"  # noqa: PLR2004 -- PS3.5 8.1.2
        pieces = (frame.pixels.tobytes() for frame in every)
        _write_native(file, _PIXEL_DATA, vr, syntax, length, pieces)
    else:
        _write_compressed(file, _encoded(every, image.dataset, syntax), image.frame_count)


def _alike(frames: Iterator[Frame], first: Frame) -> Iterator[Frame]:
    """Let frames pass that are described as the first is."""
    for frame in frames:
        same = (frame.photometric, frame.bits_allocated, frame.pixels.shape) == (
            first.photometric, first.bits_allocated, first.pixels.shape,
        )  # fmt: skip
        if not same:
            raise CannotTranscode("its frames are not all described as the first one is")
        yield frame


def _describe(image: Image, frame: Frame) -> None:
    """Have the attributes say what the pixels are from now on (PS3.3 C.7.6.3)."""
    dataset = image.dataset
    dataset.PhotometricInterpretation = frame.photometric
    dataset.BitsAllocated = frame.bits_allocated
    if dataset.SamplesPerPixel > 1:
        dataset.PlanarConfiguration = 0
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:
            delattr(dataset, keyword)
    _keep_loss_told(image, frame.pixels.nbytes * image.frame_count)


def _keep_loss_told(image: Image, decoded_bytes: int) -> None:
    """Say that it was compressed with loss, before the transfer syntax no longer does.

    What the instance says of it already stays as it is.
    """
    dataset, own = image.dataset, image.syntax
    lossy = own in LOSSY_JPEG or (own in MAYBE_LOSSY and codestream.loses(image.first_codestream()))
    if not lossy:
        return
    dataset.LossyImageCompression = "01"
    if not dataset.get("LossyImageCompressionRatio"):
        dataset.LossyImageCompressionRatio = f"{decoded_bytes / max(image.pixel_bytes, 1):.2f}"
    if not dataset.get("LossyImageCompressionMethod"):
        dataset.LossyImageCompressionMethod = _METHODS[own]


def _write_head(dataset: Dataset, file: BinaryIO, syntax: str) -> None:
    """Write all that comes before the pixel data: preamble, our File Meta, attributes."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    writer = DicomFileLike(file)
    writer.is_little_endian = True
    file.write(bytes(128) + b"DICM")
    with quiet():
        write_file_meta_info(writer, meta, enforce_standard=True)
        writer.is_implicit_VR = syntax == IMPLICIT_LITTLE
        write_dataset(writer, dataset)


def _write_native(
    file: BinaryIO, tag: bytes, vr: bytes, syntax: str, length: int, pieces: Iterator[bytes]
) -> None:
    padding = length % 2
    if length + padding > _MOST:
        raise CannotTranscode("its pixels are more than 4 GiB, longer than DICOM can say")
    head = tag if syntax == IMPLICIT_LITTLE else tag + vr + b"\0\0"
    file.write(head + (length + padding).to_bytes(4, "little"))
    file.writelines(pieces)
    file.write(bytes(padding))


def _encoded(frames: Iterator[Frame], dataset: Dataset, syntax: str) -> Iterator[bytes]:
    encoder = get_encoder(syntax)
    for frame in frames:
        with quiet():
            stream = encoder.encode(
                frame.pixels,
                rows=dataset.Rows,
                columns=dataset.Columns,
                number_of_frames=1,
                samples_per_pixel=dataset.SamplesPerPixel,
                bits_allocated=frame.bits_allocated,
                bits_stored=frame.bits_stored,
                pixel_representation=dataset.PixelRepresentation,
                photometric_interpretation=frame.photometric,
                planar_configuration=0,
                encoding_plugin=_ENCODERS[syntax],
            )
        yield codestream.without_comments(stream)


def _write_compressed(file: BinaryIO, streams: Iterator[bytes], count: int) -> None:
    """Write a fragment per frame, then the Basic Offset Table before them (PS3.5 A.4)."""
    file.write(_PIXEL_DATA + b"OB\0\0\xff\xff\xff\xff" + _ITEM + (4 * count).to_bytes(4, "little"))
    table = file.tell()
    file.write(bytes(4 * count))
    begin = file.tell()
    offsets = []
    for stream in streams:
        offsets.append(file.tell() - begin)
        padding = len(stream) % 2
        file.write(_ITEM + (len(stream) + padding).to_bytes(4, "little") + stream + bytes(padding))
    file.write(_SEQUENCE_END)
    if offsets[-1] > _MOST:
        raise CannotTranscode("its frames are more than a Basic Offset Table can find")
    file.seek(table)
    file.write(b"".join(offset.to_bytes(4, "little") for offset in offsets))
