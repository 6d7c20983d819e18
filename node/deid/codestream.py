"""Compressed pixel data: what is no picture is taken out of the codestream, without recompressing.

Only the marker segments stay that a picture is made of. JPEG and JPEG-LS: ISO/IEC 10918-1 Table
B.1, 14495-1 Table C.1, and the small fixed APPn by which decoders tell the colour space. JPEG 2000
and HTJ2K: ISO/IEC 15444-1 Table A.2, 15444-15. A JPEG XL codestream holds no comment, and only a
bare one is let through. What follows the end of a codestream goes.
"""

from __future__ import annotations

import re
import zlib

from node.deid.outcome import Quarantined
from node.deid.syntax import Codec

_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
#: SOFn, DHT, DAC, SOS, DQT, DNL, DRI; JPEG-LS's SOF55 and LSE.
_PICTURE = frozenset({*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD, 0xF7, 0xF8} - {0xC8})
#: JFIF without a thumbnail, Adobe's and (in JPEG-LS) HP's colour transform: no free text.
_NEEDED_APP = re.compile(
    rb"\xff\xe0\x00\x10JFIF\x00.{7}\x00\x00"
    rb"|\xff\xee\x00\x0eAdobe.{7}"
    rb"|\xff\xe8\x00\x07mrfx[\x00-\x03]",
    re.DOTALL,
)
#: The next marker in entropy-coded data: restart markers and stuffed bytes are none.
_NEXT_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")

_SOC, _SOT, _SOD, _EOC, _TLM = (
    b"\xff\x4f", b"\xff\x90", b"\xff\x93", b"\xff\xd9", b"\xff\x55",
)  # fmt: skip
#: CAP, SIZ, COD, COC, TLM, PRF, PLM, PLT, CPF, QCD, QCC, RGN, POC, PPM, PPT, CRG, SOT.
_PICTURE_2000 = frozenset(b"\x50\x51\x52\x53\x55\x56\x57\x58\x59\x5c\x5d\x5e\x5f\x60\x61\x63\x90")
#: A bare JPEG XL codestream (ISO/IEC 18181-1); the file format with its metadata boxes is none.
_JPEG_XL = b"\xff\x0a"
_CHUNK = 1024 * 1024
_JP2 = b"\0\0\0\x0cjP  "


def is_start(codec: Codec, fragment: bytes) -> bool:
    """Tell whether a fragment begins a codestream, and so a frame."""
    if codec is Codec.JPEG:
        return fragment[:2] == b"\xff\xd8"
    if codec is Codec.JPEG_2000:
        return fragment[:2] == _SOC or fragment[:8] == _JP2
    if codec is Codec.JPEG_XL:
        return fragment[:2] == _JPEG_XL
    return True


def strip(codec: Codec, stream: bytes) -> bytes:
    """Give a codestream with nothing in it but the picture; Quarantined if it is not understood."""
    try:
        if codec is Codec.JPEG:
            return _strip_jpeg(stream)
        if codec is Codec.JPEG_2000:
            return _strip_jpeg_2000(_bare(stream))
        if codec is Codec.DEFLATE:
            return _strip_deflated(stream)
    except IndexError:
        raise Quarantined("a compressed image is cut short") from None
    return stream


def _strip_jpeg(stream: bytes) -> bytes:
    pieces: list[bytes] = []
    position = 2
    run = 0
    while True:
        while stream[position] == 0xFF and stream[position + 1] == 0xFF:  # noqa: PLR2004 -- fill
            position += 1
        marker = stream[position + 1]
        if stream[position] != 0xFF or marker in (0, _SOI):  # noqa: PLR2004
            raise Quarantined("a JPEG image is not understood")
        if marker == _EOI:
            pieces.append(stream[run : position + 2])
            return b"".join(pieces)
        length = 0 if marker == _TEM else stream[position + 2] << 8 | stream[position + 3]
        after = position + 2 + length
        if marker not in _PICTURE and not _NEEDED_APP.fullmatch(stream, position, after):
            pieces.append(stream[run:position])
            run = after
        if marker == _SOS:
            found = _NEXT_MARKER.search(stream, after)
            if found is None:
                raise Quarantined("a JPEG image has no end")
            after = found.start()
        position = after


def _strip_deflated(stream: bytes) -> bytes:
    """Cut what follows the end of a deflated frame (PS3.5 A.4.13)."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    rest = stream
    try:
        while rest and not inflater.eof:
            inflater.decompress(rest, _CHUNK)
            rest = inflater.unconsumed_tail
    except zlib.error:
        raise Quarantined("a deflated image is damaged") from None
    if not inflater.eof:
        raise Quarantined("a compressed image is cut short")
    return stream[: len(stream) - len(inflater.unused_data)]


def _bare(stream: bytes) -> bytes:
    """Take the codestream out of a JP2 file, which DICOM does not allow and some write."""
    if stream[:8] != _JP2:
        return stream
    position = 0
    while position + 8 <= len(stream):
        length = int.from_bytes(stream[position : position + 4], "big")
        kind = stream[position + 4 : position + 8]
        after = position + length if length else len(stream)
        if kind == b"jp2c":
            return stream[position + 8 : after]
        if after <= position + 7:
            break
        position = after
    raise Quarantined("a JPEG 2000 image is not understood")


def _strip_jpeg_2000(stream: bytes) -> bytes:
    if stream[:2] != _SOC:
        raise Quarantined("a JPEG 2000 image is not understood")
    main, position = _segments(stream, 2, (_SOT,))
    pieces = [_SOC, *main]
    shortened = False
    while stream[position : position + 2] == _SOT:
        total = int.from_bytes(stream[position + 6 : position + 10], "big")
        header, data = _segments(stream, position, (_SOD,))
        end = position + total if total else _end(stream)
        if not data < end <= len(stream):
            raise Quarantined("a JPEG 2000 image is not understood")
        lost = data - position - sum(map(len, header))
        if lost and total:
            shortened = True
            header[0] = header[0][:6] + (total - lost).to_bytes(4, "big") + header[0][10:]
        pieces += [*header, stream[data:end]]
        position = end
    if stream[position : position + 2] not in (_EOC, b""):
        raise Quarantined("a JPEG 2000 image is not understood")
    if shortened:  # the table of tile-part lengths would be wrong, and is optional
        pieces = [piece for piece in pieces if piece[:2] != _TLM]
    return b"".join([*pieces, _EOC])


def _end(stream: bytes) -> int:
    end = stream.rfind(_EOC)
    return end if end > 0 else len(stream)


def _segments(stream: bytes, position: int, until: tuple[bytes, ...]) -> tuple[list[bytes], int]:
    """Give the segments of the picture from here, and where the given marker stands."""
    segments: list[bytes] = []
    while (marker := stream[position : position + 2]) not in until:
        if marker[:1] != b"\xff" or marker == _SOC:
            raise Quarantined("a JPEG 2000 image is not understood")
        length = stream[position + 2] << 8 | stream[position + 3]
        if marker[1] in _PICTURE_2000:
            segments.append(stream[position : position + 2 + length])
        position += 2 + length
    return segments, position
