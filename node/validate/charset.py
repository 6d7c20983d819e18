"""Text of a data set as Unicode, by its Specific Character Set (PS3.3 C.12.1.1.2).

The validator's own decoder. It never fails: what a declared character set cannot mean is read as
Latin-1, so that a search still sees it.
"""

from __future__ import annotations

import re
from functools import lru_cache

#: Defined terms without code extensions, and with them (PS3.3 Tables C.12-2 to C.12-5).
_CODECS = {
    "": "ascii", "ISO_IR 6": "ascii", "ISO_IR 100": "latin_1", "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3", "ISO_IR 110": "iso8859_4", "ISO_IR 144": "iso8859_5",
    "ISO_IR 127": "iso8859_6", "ISO_IR 126": "iso8859_7", "ISO_IR 138": "iso8859_8",
    "ISO_IR 148": "iso8859_9", "ISO_IR 203": "iso8859_15", "ISO_IR 13": "shift_jis",
    "ISO_IR 166": "iso8859_11", "ISO_IR 192": "utf_8", "GB18030": "gb18030", "GBK": "gbk",
}  # fmt: skip
#: Escape sequence (without ESC) -> codec of the bytes that follow; JIS X 0208/0212 sit in G0.
_ESCAPES = {
    b"(B": "", b"(J": "", b"-A": "latin_1", b"-B": "iso8859_2", b"-C": "iso8859_3",
    b"-D": "iso8859_4", b"-L": "iso8859_5", b"-G": "iso8859_6", b"-F": "iso8859_7",
    b"-H": "iso8859_8", b"-M": "iso8859_9", b"-b": "iso8859_15", b"-T": "iso8859_11",
    b")I": "shift_jis", b"$)C": "euc_kr", b"$)A": "gb2312",
}  # fmt: skip
_DOUBLE_BYTE_G0 = re.compile(rb"\$B|\$@|\$\(D")
_DELIMITER = re.compile(rb"[\\^=\t\n\f\r]")
_PART = re.compile(rb"(\x1b(?:\$[()][A-Z]|\$[@B]|[()\-.][A-Za-z]))")


@lru_cache(1 << 8)
def terms(value: bytes) -> tuple[str, ...]:
    """Give the defined terms of a Specific Character Set value; ("",) if it is empty."""
    return tuple(term.strip(" \0") for term in value.decode("latin_1").split("\\"))


def is_known(declared: tuple[str, ...]) -> bool:
    """Tell whether every declared term is one of PS3.3's."""
    return all(_codec_of(term) for term in declared)


def _codec_of(term: str) -> str:
    return _CODECS.get(term.replace("ISO 2022 IR ", "ISO_IR ")) or {
        "ISO 2022 IR 87": "ascii",
        "ISO 2022 IR 159": "ascii",
        "ISO 2022 IR 149": "euc_kr",
        "ISO 2022 IR 58": "gb2312",
    }.get(term, "")


def decode(value: bytes, declared: tuple[str, ...]) -> str:
    """Decode a text value; several values stay together, divided by backslashes."""
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    return _decode(value, declared)


@lru_cache(1 << 12)
def _decode(value: bytes, declared: tuple[str, ...]) -> str:
    codecs = tuple(_codec_of(term) or "ascii" for term in declared)
    if b"\x1b" not in value:
        return _lenient(value, *codecs)
    text, codec, escape = [], codecs[0], b""
    for part in _PART.split(value):
        if part.startswith(b"\x1b"):
            escape, codec = part, _ESCAPES.get(part[1:], codec) or codecs[0]
        elif _DOUBLE_BYTE_G0.fullmatch(escape[1:]):
            text.append(_lenient(escape + part, "iso2022_jp_2"))
        else:
            # A delimiter ends what an escape sequence began (PS3.5 6.1.2.5.3).
            stop = _DELIMITER.search(part)
            cut = stop.start() if stop else len(part)
            text += [_lenient(part[:cut], codec), _lenient(part[cut:], *codecs)]
    return "".join(text)


def _lenient(value: bytes, *codecs: str) -> str:
    """Decode by the first codec that can: some writers forget the escape sequence."""
    for codec in codecs:
        try:
            return value.decode(codec)
        except UnicodeDecodeError:
            continue
    return value.decode("latin_1")
