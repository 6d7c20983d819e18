"""Keyed pseudonyms: the same person, number or UID always becomes the same other one.

docs/pseudonyms.md is the contract, with test vectors. Every function is pure; none logs a value.
"""

from __future__ import annotations

import base64
import hmac
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydicom._uid_dict import UID_dictionary

_SALT = b"deid-node pseudonyms v1"
_CODE_CHARACTERS = 13  # 65 bits; with a prefix of at most 3 a code fits SH's 16
_LONGEST_SHIFT = 3650  # days
#: UIDs that DICOM itself registered (PS3.6 Annex A); they identify no one and are never remapped.
_REGISTERED = frozenset(uid.encode() for uid in UID_dictionary)


@dataclass(frozen=True, slots=True, repr=False)
class Subkeys:
    """The keys of one domain, one per purpose; 32 bytes each."""

    uid: bytes
    patient: bytes
    accession: bytes
    study_id: bytes
    date: bytes
    text: bytes


@lru_cache(maxsize=8)
def derive_subkeys(key: bytes, domain: str) -> Subkeys:
    """Derive a domain's keys from the node's key (32 bytes) by HKDF-SHA256 (RFC 5869)."""

    def subkey(purpose: str) -> bytes:
        info = purpose.encode() + b"\0" + domain.encode()
        return HKDF(algorithm=SHA256(), length=32, salt=_SALT, info=info).derive(key)

    return Subkeys(
        uid=subkey("uid"),
        patient=subkey("patient"),
        accession=subkey("accession"),
        study_id=subkey("study-id"),
        date=subkey("date"),
        text=subkey("text"),
    )


def remap_uid(subkeys: Subkeys, uid: bytes) -> bytes:
    """Give the UID that stands for a UID (one value, padding allowed): 2.25 and a UUIDv8.

    A UID that DICOM registered and an empty one come back as they are.
    """
    return remap_uid_by(subkeys.uid, uid)


@lru_cache(maxsize=65536)
def remap_uid_by(key: bytes, uid: bytes) -> bytes:
    """Do what `remap_uid` does, by the sub-key for UIDs alone."""
    uid = uid.rstrip(b"\0 ")
    if not uid or uid in _REGISTERED:
        return uid
    number = int.from_bytes(hmac.digest(key, uid, "sha256")[:16], "big")
    number = number & ~(0xF << 76) | 0x8 << 76  # version 8 (RFC 9562 section 5.8)
    number = number & ~(0x3 << 62) | 0x2 << 62  # variant 10
    return b"2.25.%d" % number


def identity_of(issuer: str, patient_id: str) -> bytes:
    """Give the bytes that stand for a patient: issuer and Patient ID, never the name."""
    text = issuer.strip(" \0") + "\0" + patient_id.strip(" \0")
    return unicodedata.normalize("NFC", text).encode()


@lru_cache(maxsize=1024)
def patient_code(subkeys: Subkeys, identity: bytes) -> str:
    """Give the 13 characters (A-Z, 2-7) that stand for a patient."""
    return _code(subkeys.patient, identity)


def accession_code(subkeys: Subkeys, identity: bytes, number: str) -> str:
    """Give the Accession Number that stands for one of this patient's; empty stays empty."""
    return _code_of_value(subkeys.accession, identity, "A", number)


def study_id_code(subkeys: Subkeys, identity: bytes, study_id: str) -> str:
    """Give the Study ID that stands for one of this patient's; empty stays empty."""
    return _code_of_value(subkeys.study_id, identity, "S", study_id)


def text_code(subkeys: Subkeys, identity: bytes, attribute: str, text: str) -> str:
    """Give the code that a site's `hash` rule writes for a text of this attribute."""
    return _code_of_value(subkeys.text, identity + b"\0" + attribute.encode(), "H", text)


@lru_cache(maxsize=1024)
def shift_days(subkeys: Subkeys, identity: bytes) -> int:
    """Give the days, 1 to 3,650, by which this patient's dates are moved into the past."""
    digest = hmac.digest(subkeys.date, identity, "sha256")
    return 1 + int.from_bytes(digest[:8], "big") % _LONGEST_SHIFT


def _code(key: bytes, message: bytes) -> str:
    digest = hmac.digest(key, message, "sha256")
    return base64.b32encode(digest[:9]).decode()[:_CODE_CHARACTERS]


@lru_cache(maxsize=4096)
def _code_of_value(key: bytes, scope: bytes, letter: str, value: str) -> str:
    value = unicodedata.normalize("NFC", value.strip(" \0"))
    if not value:
        return ""
    return letter + _code(key, scope + b"\0" + value.encode())
