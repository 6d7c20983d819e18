"""Character sets (PS3.3 C.12.1.1.2): reading what is said, to match and to hash it.

What we write ourselves is ASCII, which every defined term includes; text that is kept stays in the
bytes and the set that it came in. So the output's declared set is true for every value.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from pydicom.charset import python_encoding

from node.deid.outcome import Quarantined

#: Escape sequences of code extensions (PS3.3 Tables C.12-3 and C.12-4) to Python's encodings.
_ESCAPES = {
    b"\x1b(B": "ascii", b"\x1b(J": "shift_jis", b"\x1b)I": "shift_jis",
    b"\x1b-A": "latin_1", b"\x1b-B": "iso8859_2", b"\x1b-C": "iso8859_3", b"\x1b-D": "iso8859_4",
    b"\x1b-F": "iso8859_7", b"\x1b-G": "iso8859_6", b"\x1b-H": "iso8859_8", b"\x1b-L": "iso8859_5",
    b"\x1b-M": "iso8859_9", b"\x1b-T": "iso8859_11", b"\x1b-b": "iso8859_15",
    b"\x1b$B": "iso2022_jp_2", b"\x1b$(D": "iso2022_jp_2",
    b"\x1b$)C": "euc_kr", b"\x1b$)A": "gb2312",
}  # fmt: skip
#: Python's decoder of these wants to see the escape sequence itself.
_STATEFUL = "iso2022_jp_2"
_FRAGMENT = re.compile(rb"(\x1b(?:\$[()]?|[-()])[\x40-\x7e])?([^\x1b]*)", re.DOTALL)
#: After these the first set holds again (PS3.5 6.1.2.5.3).
_RESET = re.compile(rb"([\\^=\t\n\f\r])")
#: ISO-IR 6 in pydicom's words, which reads more than ASCII where a device wrote more.
_DEFAULT = "iso8859"
#: These stand alone: they have no code extensions.
_ALONE = frozenset({"ISO_IR 192", "GB18030", "GBK"})
_SPELLING = re.compile(r"^ISO[-_ ]IR[-_ ]?|^ISO[-_ ]2022[-_ ]IR[-_ ]?")


@lru_cache(maxsize=256)
def encoding_of(declared: bytes, assumed: str) -> str:
    """Give Python's encoding of the first (or only) set of a Specific Character Set value.

    Quarantined where a term is none of the standard's: then nobody knows what a text says.
    """
    terms = [term.strip(" \0") for term in declared.decode("latin-1").split("\\")]
    if not any(terms):
        terms = [term.strip() for term in assumed.split("\\")]
    terms = [_SPELLING.sub(_spelling, term) for term in terms]
    if any(term not in python_encoding for term in terms):
        raise Quarantined("its Specific Character Set is not one that DICOM defines")
    if len(terms) > 1 and not _ALONE.isdisjoint(terms):
        raise Quarantined("its Specific Character Set combines sets that exclude each other")
    return python_encoding[terms[0]]


def decode(value: bytes, encoding: str) -> str:
    """Give the text of a whole value; Quarantined where the bytes are not in the set.

    A set's own rules say which byte is a backslash, so a value is decoded first and split then.
    """
    try:
        if b"\x1b" not in value:
            return value.decode(encoding)
        return "".join(
            _fragment(escape, rest, encoding) for escape, rest in _FRAGMENT.findall(value)
        )
    except UnicodeError:
        raise Quarantined("a text is not in the character set that the instance declares") from None


def decode_leniently(value: bytes, encoding: str) -> str:
    """Give the text of a value to look for words in; what is not in the set becomes U+FFFD."""
    try:
        return decode(value, encoding)
    except Quarantined:
        return value.decode("ascii", "replace")


def encode(text: str, encoding: str) -> bytes:
    """Give a text in the declared set, or without its accents where the set cannot hold it."""
    if not text.isascii() and encoding != _DEFAULT:
        try:
            return text.encode(encoding)
        except UnicodeError:
            pass
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore")


def _fragment(escape: bytes, rest: bytes, first: str) -> str:
    if not escape:
        return rest.decode(first)
    encoding = _ESCAPES.get(escape)
    if encoding is None:
        raise Quarantined("a text has an escape sequence that DICOM does not define")
    if encoding == _STATEFUL:
        return (escape + rest).decode(_STATEFUL)
    head, *tail = _RESET.split(rest, maxsplit=1)
    return head.decode(encoding) + b"".join(tail).decode(first)


def _spelling(match: re.Match[str]) -> str:
    return "ISO 2022 IR " if "2022" in match[0] else "ISO_IR "
