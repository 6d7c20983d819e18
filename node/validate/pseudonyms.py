"""The keyed images that the output must show, computed again from docs/pseudonyms.md.

Written from that page alone and held to its test vectors, so that a mistake in the engine's own
computation shows here. Values go in and out as text without padding; UIDs as bytes.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from base64 import b32encode
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, lru_cache

from pydicom._uid_dict import UID_dictionary

_SALT = b"deid-node pseudonyms v1"
_UUID_VERSION_8 = 8 << 76
_UUID_VARIANT = 2 << 62
_UUID_FIXED_BITS = (0xF << 76) | (3 << 62)
_MAX_SHIFT = 3650  # days
_DATE = re.compile(r"(\d{4})(?:(\.?)(\d{2})(?:\2(\d{2}))?)?")
_DATE_TIME = re.compile(
    r"(\d{4}(?:\d{2}(?:\d{2})?)?)((?:\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?(?:[+-]\d{4})?)"
)
_DAY_DIGITS, _MONTH_DIGITS = 8, 6


@dataclass(frozen=True, slots=True)
class Subkeys:
    """One sub-key per purpose, 32 bytes each."""

    uid: bytes
    patient: bytes
    accession: bytes
    study_id: bytes
    date: bytes
    text: bytes


@cache
def subkeys(key: bytes, domain: str) -> Subkeys:
    """Derive the sub-keys of a domain (HKDF-SHA256, RFC 5869; one block is enough for 32 bytes)."""
    extracted = hmac.digest(_SALT, key, "sha256")
    purposes = ("uid", "patient", "accession", "study-id", "date", "text")
    return Subkeys(
        *(
            hmac.digest(extracted, f"{purpose}\0{domain}".encode() + b"\1", "sha256")
            for purpose in purposes
        )
    )


def identity(issuer: str, patient_id: str) -> bytes:
    """Name a patient by issuer and Patient ID; empty if there is no Patient ID."""
    issuer, patient_id = issuer.strip(" \0"), patient_id.strip(" \0")
    return unicodedata.normalize("NFC", f"{issuer}\0{patient_id}").encode() if patient_id else b""


@lru_cache(1 << 16)
def is_registered(uid: bytes) -> bool:
    """Tell whether DICOM's registry (PS3.6 Annex A) has a UID; to begin like one is not enough."""
    return uid.decode("latin_1") in UID_dictionary


@lru_cache(1 << 16)
def new_uid(subkey: bytes, uid: bytes) -> bytes:
    """Give the keyed image of one UID; a registered UID and an empty one stay."""
    uid = uid.rstrip(b"\0 ")
    if not uid or is_registered(uid):
        return uid
    number = int.from_bytes(hmac.digest(subkey, uid, "sha256")[:16], "big")
    number = number & ~_UUID_FIXED_BITS | _UUID_VERSION_8 | _UUID_VARIANT
    return b"2.25.%d" % number


def _code(subkey: bytes, message: bytes) -> str:
    return b32encode(hmac.digest(subkey, message, "sha256")[:9])[:13].decode()


@lru_cache(1 << 12)
def patient_code(keys: Subkeys, patient: bytes) -> str:
    """Give the 13 characters that stand for a patient, without the profile's prefix."""
    return _code(keys.patient, patient)


@lru_cache(1 << 12)
def witness(keys: Subkeys, patient: bytes) -> str:
    """Give the whole digest that the patient's code begins: 64 hex digits; nobody has none."""
    return hmac.digest(keys.patient, patient, "sha256").hex() if patient else ""


def accession_number(keys: Subkeys, patient: bytes, value: str) -> str:
    """Give the pseudonym of an Accession Number; empty stays empty."""
    return _coded("A", keys.accession, patient, value)


def study_id(keys: Subkeys, patient: bytes, value: str) -> str:
    """Give the pseudonym of a Study ID; empty stays empty."""
    return _coded("S", keys.study_id, patient, value)


def hashed_text(keys: Subkeys, patient: bytes, attribute: str, value: str) -> str:
    """Give what a site rule's `hash` writes; `attribute` as docs/pseudonyms.md spells it."""
    return _coded("H", keys.text, patient + b"\0" + attribute.encode(), value)


def _coded(letter: str, subkey: bytes, patient: bytes, value: str) -> str:
    value = unicodedata.normalize("NFC", value.strip(" \0"))
    return letter + _code(subkey, patient + b"\0" + value.encode()) if value else ""


@lru_cache(1 << 12)
def shift_days(keys: Subkeys, patient: bytes) -> int:
    """Give by how many days a patient's dates go back: 1 to 3,650."""
    return 1 + int.from_bytes(hmac.digest(keys.date, patient, "sha256")[:8], "big") % _MAX_SHIFT


@lru_cache(1 << 14)
def shifted_date(value: str, days: int) -> str | None:
    """Give a DA value so many days earlier, without dots; None if it is no date."""
    value = value.strip(" \0")
    match = _DATE.fullmatch(value)
    if not match:
        return None
    year, _, month, day = match.groups()
    try:
        then = date(int(year), int(month or 7), int(day or (15 if month else 1)))
        then -= timedelta(days)
    except (ValueError, OverflowError):
        return None
    digits = f"{then.year:04d}{then.month:02d}{then.day:02d}"
    return digits[: _DAY_DIGITS if day else _MONTH_DIGITS if month else 4]


@lru_cache(1 << 14)
def shifted_date_time(value: str, days: int) -> str | None:
    """Give a DT value so many days earlier; time of day and offset stay; None if it is no date."""
    match = _DATE_TIME.fullmatch(value.strip(" \0"))
    if not match:
        return None
    shifted = shifted_date(match[1], days)
    return None if shifted is None else shifted + match[2]
