"""Dummy values: valid for their VR, the same for everyone, and visibly not anybody's."""

from __future__ import annotations

from node.deid.element import LONG_VRS

#: What is written where a value is asked for; a second one for a source that holds the first.
TEXT = "REMOVED"
_VALUES: dict[str, tuple[bytes, bytes]] = {
    "AE": (b"REMOVED", b"DUMMY"),
    "AS": (b"000D", b"001D"),
    "AT": (b"\0\0\0\0", b"\0\0\1\0"),
    "CS": (b"REMOVED", b"DUMMY"),
    "DA": (b"19000101", b"19000102"),
    "DS": (b"0", b"1"),
    "DT": (b"19000101000000", b"19000102000000"),
    "FD": (bytes(8), b"\0\0\0\0\0\0\xf0\x3f"),
    "FL": (bytes(4), b"\0\0\x80\x3f"),
    "IS": (b"0", b"1"),
    "LO": (b"REMOVED", b"DUMMY"),
    "LT": (b"REMOVED", b"DUMMY"),
    "OB": (bytes(2), b"\1\0"),
    "OD": (bytes(8), b"\0\0\0\0\0\0\xf0\x3f"),
    "OF": (bytes(4), b"\0\0\x80\x3f"),
    "OL": (bytes(4), b"\1\0\0\0"),
    "OV": (bytes(8), b"\1\0\0\0\0\0\0\0"),
    "OW": (bytes(2), b"\1\0"),
    "PN": (b"REMOVED", b"DUMMY"),
    "SH": (b"REMOVED", b"DUMMY"),
    "SL": (bytes(4), b"\1\0\0\0"),
    "SS": (bytes(2), b"\1\0"),
    "ST": (b"REMOVED", b"DUMMY"),
    "SV": (bytes(8), b"\1\0\0\0\0\0\0\0"),
    "TM": (b"000000", b"000001"),
    "UC": (b"REMOVED", b"DUMMY"),
    "UI": (b"2.25.0", b"2.25.1"),
    "UL": (bytes(4), b"\1\0\0\0"),
    "UN": (bytes(2), b"\1\0"),
    "UR": (b"https://removed.invalid", b"https://dummy.invalid"),
    "US": (bytes(2), b"\1\0"),
    "UT": (b"REMOVED", b"DUMMY"),
    "UV": (bytes(8), b"\1\0\0\0\0\0\0\0"),
}
_BINARY = frozenset({
    "AT", "FD", "FL", "OB", "OD", "OF", "OL", "OV", "OW", "SL", "SS", "SV", "UL", "UN", "US", "UV",
})  # fmt: skip


def dummy(vr: str, vm: str = "1", source: bytes = b"") -> bytes:
    """Give a value of a VR with as many parts as a VM ("1", "2-n") asks for; never `source`."""
    first, second = _VALUES[vr]
    least = vm.partition("-")[0]
    count = int(least) if least.isdigit() else 1
    separator = b"" if vr in _BINARY else b"\\"
    value = separator.join([first] * count)
    if value == source.rstrip(b" \0") or value == source:
        value = separator.join([second] * count)
    return value


def padded(vr: str, value: bytes) -> bytes:
    """Make a value's length even as its VR wants it (PS3.5 6.2)."""
    if len(value) % 2:
        return value + (b"\0" if vr == "UI" or vr in _BINARY else b" ")
    return value


def encoded(tag: bytes, vr: str, value: bytes, *, implicit: bool) -> bytes:
    """Give an element's bytes; `tag` is its four bytes, `value` is padded here."""
    value = padded(vr, value)
    if implicit:
        return tag + len(value).to_bytes(4, "little") + value
    if vr in LONG_VRS:
        return tag + vr.encode() + b"\0\0" + len(value).to_bytes(4, "little") + value
    return tag + vr.encode() + len(value).to_bytes(2, "little") + value
