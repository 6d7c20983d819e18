"""The transfer syntaxes that we treat, and how the pixel data of each are coded (PS3.5 Annex A)."""

from __future__ import annotations

from enum import StrEnum

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"


class Codec(StrEnum):
    """What lies in the fragments."""

    JPEG = "jpeg"  # also JPEG-LS: the same marker segments
    JPEG_2000 = "jpeg-2000"  # also HTJ2K: the same marker segments
    JPEG_XL = "jpeg-xl"
    MPEG_2 = "mpeg-2"
    H264 = "h264"  # also H.265: the same byte stream
    RLE = "rle"
    DEFLATE = "deflate"  # each frame a deflated stream


_JPEG = {f"1.2.840.10008.1.2.4.{n}" for n in (*range(50, 67), 70, 80, 81)}
_JPEG_2000 = {f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 92, 93, 201, 202, 203)}
_JPEG_XL = {f"1.2.840.10008.1.2.4.{n}" for n in (110, 111, 112)}
_MPEG_2 = {f"1.2.840.10008.1.2.4.{n}" for n in ("100", "100.1", "101", "101.1")}
_H264 = {
    f"1.2.840.10008.1.2.4.{n}"
    for n in (
        "102", "102.1", "103", "103.1", "104", "104.1",
        "105", "105.1", "106", "106.1", "107", "108",
    )
}  # fmt: skip
_RLE, _DEFLATE = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1"

#: Encapsulated transfer syntax to its codec; JPIP and the streaming ones hold no pixels, so they
#: are not here, nor is what nobody has written for twenty years.
CODECS: dict[str, Codec] = {
    **dict.fromkeys(_JPEG, Codec.JPEG),
    **dict.fromkeys(_JPEG_2000, Codec.JPEG_2000),
    **dict.fromkeys(_JPEG_XL, Codec.JPEG_XL),
    **dict.fromkeys(_MPEG_2, Codec.MPEG_2),
    **dict.fromkeys(_H264, Codec.H264),
    _RLE: Codec.RLE,
    _DEFLATE: Codec.DEFLATE,
}
NATIVE = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, BIG_ENDIAN})
