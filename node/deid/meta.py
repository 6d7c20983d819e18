"""The File Meta Information: what we take from the source's, and our own (PS3.10 7.1).

Of the source's we take the transfer syntax and nothing else: AE titles, implementation and private
information describe those who had the instance before (PS3.15 E.1.1).
"""

from __future__ import annotations

import re
from functools import lru_cache

from node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.deid import syntax
from node.deid.element import LONG_VRS, SHORT_VRS, tag_of
from node.deid.outcome import Quarantined
from node.deid.source import Source

_PREAMBLE = 128
#: What is read first: a File Meta, and the whole header of most instances.
FIRST_WINDOW = 16_384
_TRANSFER_SYNTAX = 0x00020010
_VR = re.compile(b"|".join(vr.encode() for vr in sorted(SHORT_VRS | LONG_VRS)))
_UID = re.compile(rb"[0-9.]{1,64}")


def read_meta(source: Source) -> tuple[str, int]:
    """Give the transfer syntax UID and the offset at which the data set begins.

    A file without preamble or without File Meta is taken as far as its first element tells how it
    is encoded. A File Meta that says implicit VR of an explicit data set is put right, as the
    data set can be read in one way only.
    """
    head = source.head(FIRST_WINDOW)
    offset = _PREAMBLE + 4 if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM" else 0
    transfer_syntax = ""
    while head[offset : offset + 2] == b"\x02\x00":
        vr = head[offset + 4 : offset + 6]
        if not _VR.fullmatch(vr):
            raise Quarantined("its File Meta is not understood")
        tag = tag_of(head[offset : offset + 4])
        wide = vr.decode() in LONG_VRS
        start = offset + (12 if wide else 8)
        length = int.from_bytes(head[start - 4 if wide else start - 2 : start], "little")
        if start + length > len(head):
            raise Quarantined("its File Meta is not understood")
        if tag == _TRANSFER_SYNTAX:
            transfer_syntax = head[start : start + length].rstrip(b"\0 ").decode("latin-1")
        offset = start + length
    looks_explicit = _VR.fullmatch(head[offset + 4 : offset + 6]) is not None
    if transfer_syntax == syntax.DEFLATED:
        return transfer_syntax, offset
    if not transfer_syntax:
        return _guess(head[offset : offset + 8], looks_explicit), offset
    if transfer_syntax == syntax.IMPLICIT_LITTLE and looks_explicit:
        return syntax.EXPLICIT_LITTLE, offset
    if transfer_syntax == syntax.EXPLICIT_LITTLE and not looks_explicit:
        return _guess(head[offset : offset + 8], looks_explicit), offset
    return transfer_syntax, offset


def _guess(first: bytes, looks_explicit: bool) -> str:
    """Tell how a data set is encoded that begins with these bytes: groups are small numbers."""
    if len(first) < 8 or (first[0] and first[1]):  # noqa: PLR2004 -- tag and length
        raise Quarantined("it is not a DICOM file")
    if first[0] == 0 and first[1]:
        if not looks_explicit:
            raise Quarantined("it is not a DICOM file")
        return syntax.BIG_ENDIAN
    return syntax.EXPLICIT_LITTLE if looks_explicit else syntax.IMPLICIT_LITTLE


@lru_cache(maxsize=256)
def _meta_but_instance(sop_class_uid: bytes, transfer_syntax_uid: str) -> tuple[bytes, bytes]:
    before = _short(0x01, b"OB\0\0", b"\x00\x01", wide=True) + _short(0x02, b"UI", sop_class_uid)
    after = (
        _short(0x10, b"UI", transfer_syntax_uid.encode())
        + _short(0x12, b"UI", IMPLEMENTATION_CLASS_UID.encode())
        + _short(0x13, b"SH", IMPLEMENTATION_VERSION_NAME.encode())
    )
    return before, after


def write_meta(sop_class_uid: bytes, sop_instance_uid: bytes, transfer_syntax_uid: str) -> bytes:
    """Give preamble, prefix and File Meta of an instance that we wrote."""
    before, after = _meta_but_instance(sop_class_uid, transfer_syntax_uid)
    body = before + _short(0x03, b"UI", sop_instance_uid) + after
    return b"\0" * _PREAMBLE + b"DICM" + _short(0x00, b"UL", len(body).to_bytes(4, "little")) + body


def _short(element: int, vr: bytes, value: bytes, *, wide: bool = False) -> bytes:
    if len(value) % 2:
        value += b" " if vr == b"SH" else b"\0"
    return (
        b"\x02\x00%c\x00" % element + vr + len(value).to_bytes(4 if wide else 2, "little") + value
    )
