"""Values of a header as texts: what cannot be decoded is told, what is no code is not."""

from __future__ import annotations

import re

from pydicom.charset import convert_encodings, decode_bytes, python_encoding

_CODE = re.compile(r"[A-Z0-9_]{1,16}")
_UID = re.compile(r"[0-9.]{1,64}")


def is_uid(text: str) -> bool:
    """Tell whether a text is 1 to 64 of [0-9.]; leading zeros of components are tolerated."""
    return _UID.fullmatch(text) is not None


def uid(value: bytes) -> str:
    """Give a UID without its padding (PS3.5 9.1)."""
    return value.rstrip(b"\0 ").decode("ascii", "replace")


def ascii_text(value: bytes) -> str:
    """Give a text of the default repertoire without its padding."""
    return value.strip(b"\0 ").decode("ascii", "replace")


def code(value: bytes) -> str:
    """Give a code string (PS3.5 6.2, CS); what is none could be anything, a name, and is not told.

    Modality goes into logs, status and pages, which hold nothing of the patient.
    """
    text = ascii_text(value)
    return text if _CODE.fullmatch(text) else ""


def decoded(value: bytes, charset: str) -> tuple[str, str]:
    """Decode by the declared character set (PS3.3 C.12.1.1.2), and say what is wrong with it.

    What is not decodable is escaped.
    """
    value = value.strip(b"\0 ")
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii"), ""
    terms = [term.strip() for term in charset.split("\\")]
    if not charset or any(term not in python_encoding for term in terms):
        return value.decode("ascii", "backslashreplace"), "the character set is not known"
    encodings = convert_encodings(terms)
    try:
        if b"\x1b" not in value:
            return value.decode(encodings[0]).strip(), ""
        return decode_bytes(value, encodings, set()).strip(), ""
    except (UnicodeError, LookupError):
        return value.decode("ascii", "backslashreplace"), "a value is not in its character set"
