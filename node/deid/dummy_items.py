"""Dummy items for sequences that may not go and may not stay: valid, and nobody's.

The action D on a sequence asks for items with dummy content (PS3.15 Table E.1-1a); which content
makes the item valid is PS3.3's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from node.deid.dummies import TEXT, encoded
from node.deid.element import ITEM, tag_bytes

Spec = list[tuple[int, str, Any]]


def _code(value: str = TEXT, scheme: str = "99DEID", meaning: str = TEXT) -> list[Spec]:
    return [[(0x00080100, "SH", value), (0x00080102, "SH", scheme), (0x00080104, "LO", meaning)]]


def _reference(sop_class_uid: str) -> list[Spec]:
    return [[(0x00081150, "UI", sop_class_uid), (0x00081155, "UI", "2.25.0")]]


_FINDING = _code("121071", "DCM", "Finding")
_TEXT_ITEM: Spec = [
    (0x0040A040, "CS", "TEXT"), (0x0040A043, "SQ", _FINDING), (0x0040A160, "UT", TEXT),
]  # fmt: skip

#: By the sequence's tag. Where there is none, one coded entry: most are code sequences.
_ITEMS: dict[int, list[Spec]] = {
    0x0040A730: [[(0x0040A010, "CS", "CONTAINS"), *_TEXT_ITEM]],  # Content Sequence
    0x00400555: [_TEXT_ITEM],  # Acquisition Context Sequence
    0x00340001: [[(0x00340002, "OB", b"\0\0"), (0x00340005, "OB", b"\0\0"),
                  (0x00340007, "OB", b"\0\0")]],  # Flow Identifier Sequence
    0x00700001: [[(0x00700002, "CS", TEXT), (0x00700008, "SQ", [[
        (0x00700004, "CS", "PIXEL"), (0x00700006, "ST", TEXT), (0x00700014, "FL", bytes(8)),
        (0x00700015, "CS", "N")]])]],  # Graphic Annotation Sequence
    0x0040A073: [[(0x0040A027, "LO", TEXT), (0x0040A030, "DT", "19000101000000"),
                  (0x0040A075, "PN", TEXT), (0x0040A088, "SQ", [])]],  # Verifying Observer Sequence
    0x00081072: [[(0x00080080, "LO", TEXT),
                  (0x00401101, "SQ", _code())]],  # Operator Identification Sequence
    0x00081110: _reference("1.2.840.10008.3.1.2.3.1"),  # Referenced Study Sequence
    0x00081111: _reference("1.2.840.10008.3.1.2.3.3"),  # Referenced Performed Procedure Step
    0x0040B020: [[(0x0040A0B0, "US", bytes(4)), (0x00700006, "ST", TEXT)]],  # Waveform Annotation
}  # fmt: skip


@lru_cache(maxsize=256)
def dummy_sequence(tag: int, *, implicit: bool) -> bytes:
    """Give a whole sequence element with dummy items."""
    return _element(tag, "SQ", _ITEMS.get(tag, _code()), implicit=implicit)


def code_item(value: str, scheme: str, meaning: str, *, implicit: bool) -> bytes:
    """Give an item of a code sequence (PS3.3 Section 8)."""
    return _item(_code(value, scheme, meaning)[0], implicit=implicit)


def _element(tag: int, vr: str, value: Any, *, implicit: bool) -> bytes:
    if vr == "SQ":
        value = b"".join(_item(spec, implicit=implicit) for spec in value)
    elif isinstance(value, str):
        value = value.encode("ascii")
    return encoded(tag_bytes(tag), vr, value, implicit=implicit)


def _item(spec: Spec, *, implicit: bool) -> bytes:
    body = b"".join(_element(*each, implicit=implicit) for each in spec)
    return ITEM + len(body).to_bytes(4, "little") + body
