"""Steps that find an element's new value by the old one."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from node.deid import clean, dates, pseudonyms
from node.deid.charset import decode, decode_leniently, encode
from node.deid.dummies import dummy, encoded
from node.deid.element import Element
from node.deid.outcome import Quarantined
from node.deid.rebuild import Apply, Plan, Step, apply, timeless
from node.deid.treatment import Treatment, pseudonym_of
from node.profile.defaults import TEXT

#: DS and IS as they come: digits, points, signs, exponents, blanks, and several of them.
_NUMBERS = re.compile(rb"[0-9+\-.eE \0\\]*")
_ISSUER = b"\x10\x00\x21\x00"

#: Finds a new value; None where the old one is not understood.
Change = Callable[[Treatment, bytes], bytes | None]


def changing(vr: str, change: Change, otherwise: Apply | bytes) -> Apply:
    """Make the step that writes what `change` finds, or `otherwise`; empty stays empty."""

    def step(treatment: Treatment, plan: Plan, buffer: bytes, element: Element) -> bytes:
        _, key, _, start, end, _ = element
        old = buffer[start:end]
        new = change(treatment, old) if old else old
        if new is not None:
            return encoded(key[:4], vr, new, implicit=treatment.implicit)
        if isinstance(otherwise, bytes):
            return otherwise
        return otherwise(treatment, plan, buffer, element)

    return step


def always(vr: str, change: Change) -> Apply:
    """Make the step that writes what `change` finds, also where the source's value is empty."""

    def step(treatment: Treatment, _plan: Plan, buffer: bytes, element: Element) -> bytes:
        new = change(treatment, buffer[element[3] : element[4]]) or b""
        return encoded(element[1][:4], vr, new, implicit=treatment.implicit)

    return step


def dummy_step(vr: str, vm: str) -> Apply:
    """Make the step that writes a dummy, which is never the source's own value."""

    def step(treatment: Treatment, _plan: Plan, buffer: bytes, element: Element) -> bytes:
        new = dummy(vr, vm, buffer[element[3] : element[4]])
        return encoded(element[1][:4], vr, new, implicit=treatment.implicit)

    return step


def or_removed(step: Step) -> Step:
    """Make the step that removes what `step` does not understand, where removing loses nothing."""

    def attempt(treatment: Treatment, plan: Plan, buffer: bytes, element: Element) -> bytes:
        here = treatment.encoding, treatment.privates
        try:
            return apply(step, treatment, plan, buffer, element)
        except Quarantined:
            treatment.encoding, treatment.privates = here
            treatment.timeless = False
            return b""

    return attempt


@timeless
def remapped(treatment: Treatment, _plan: Plan, buffer: bytes, element: Element) -> bytes:
    """Write the element of a UID (or several) with the UIDs that stand for them."""
    _, key, _, start, end, _ = element
    return _uid_element(treatment.subkeys.uid, key[:4], buffer[start:end], treatment.implicit)


@lru_cache(maxsize=65536)
def _uid_element(subkey: bytes, tag: bytes, value: bytes, implicit: bool) -> bytes:
    parts = [pseudonyms.remap_uid_by(subkey, part) for part in value.split(b"\\")]
    return encoded(tag, "UI", b"\\".join(parts), implicit=implicit)


def shifted_date(treatment: Treatment, value: bytes) -> bytes | None:
    """Move a DA into the past."""
    return dates.shift("DA", value, treatment.days)


def birth_date(treatment: Treatment, value: bytes) -> bytes | None:
    """Move a birth date into the past; that of a patient over 89 years tells the age, and goes."""
    return b"" if treatment.over_89 else dates.shift("DA", value, treatment.days)


def shifted_datetime(treatment: Treatment, value: bytes) -> bytes | None:
    """Move a DT into the past."""
    return dates.shift("DT", value, treatment.days)


def time(_treatment: Treatment, value: bytes) -> bytes | None:
    """Keep a time of day, which moves with its date by whole days and so stays."""
    return value if dates.is_time(value) else None


def offset(_treatment: Treatment, value: bytes) -> bytes | None:
    """Keep an offset from UTC."""
    return value if dates.is_offset(value) else None


def age(_treatment: Treatment, value: bytes) -> bytes | None:
    """Keep an age, and let those over 89 years be 90 (45 CFR 164.514(b)(2)(i)(C))."""
    text = value.strip(b" \0")
    if len(text) != 4 or not text[:3].isdigit() or text[3:] not in (b"D", b"W", b"M", b"Y"):  # noqa: PLR2004 -- nnnX
        return None
    return b"090Y" if text[3:] == b"Y" and int(text[:3]) > 89 else text  # noqa: PLR2004


def pseudonym(treatment: Treatment, _value: bytes) -> bytes:
    """Give the patient's pseudonym."""
    return treatment.pseudonym


def nested_patient_id(treatment: Treatment, _plan: Plan, buffer: bytes, element: Element) -> bytes:
    """Give the pseudonym of the Patient ID of an item, which may be another patient's."""
    value = decode(buffer[element[3] : element[4]], treatment.encoding)
    issuer = _issuer_behind(treatment, buffer, element[4]) or treatment.issuer
    new = b""
    if value.strip(" \0"):
        new = pseudonym_of(treatment.profile, treatment.subkeys, issuer, value)
    return encoded(element[1][:4], "LO", new, implicit=treatment.implicit)


def _issuer_behind(treatment: Treatment, buffer: bytes, position: int) -> str:
    """Give the Issuer of Patient ID where it follows here, as it does where an item has one."""
    if buffer[position : position + 4] != _ISSUER:
        return ""
    length = (
        buffer[position + 4 : position + 8] if treatment.implicit else buffer[position + 6 :][:2]
    )
    value = buffer[position + 8 :][: int.from_bytes(length, "little")]
    return decode(value, treatment.encoding).strip(" \0")


def given(text: str) -> Change:
    """Give the value of a site's `replace` rule, in the instance's character set."""

    def change(treatment: Treatment, _value: bytes) -> bytes:
        return encode(text, treatment.encoding)

    return change


def accession_number(treatment: Treatment, value: bytes) -> bytes:
    """Give the code that stands for an Accession Number."""
    text = decode(value, treatment.encoding)
    return pseudonyms.accession_code(treatment.subkeys, treatment.identity, text).encode()


def study_id(treatment: Treatment, value: bytes) -> bytes:
    """Give the code that stands for a Study ID."""
    text = decode(value, treatment.encoding)
    return pseudonyms.study_id_code(treatment.subkeys, treatment.identity, text).encode()


def hashed(attribute: str) -> Change:
    """Give the code of a site's `hash` rule, for each part of a value."""

    def change(treatment: Treatment, value: bytes) -> bytes:
        parts = decode(value, treatment.encoding).split("\\")
        codes = (
            pseudonyms.text_code(treatment.subkeys, treatment.identity, attribute, part)
            for part in parts
        )
        return "\\".join(codes).encode()

    return change


def cleaned(treatment: Treatment, value: bytes) -> bytes | None:
    """Keep the words that are known to be safe (PS3.15 E.3.5); None where none is."""
    text = decode(value, treatment.encoding)
    safe = clean.safe_text(text, treatment.identifiers.words)
    if not safe or treatment.identifiers.occur_in(safe):
        return None
    return encode(safe, treatment.encoding)


def cleaned_to(longest: int) -> Change:
    """Keep safe words as far as a VR's length allows."""

    def change(treatment: Treatment, value: bytes) -> bytes | None:
        text = cleaned(treatment, value)
        if text is None or len(text) <= longest or b"\\" in text:
            return text
        return text[: longest + 1].rpartition(b" ")[0] or None

    return change


def defined_term(_treatment: Treatment, value: bytes) -> bytes | None:
    """Keep a reason for a modification if it is one of PS3.3 C.12.1.1.9's."""
    term = value.strip(b" \0")
    return term if term in (b"COERCE", b"CORRECT") else None


def number_unless_identifying(treatment: Treatment, value: bytes) -> bytes | None:
    """Keep a number in digits, and of what is none only what repeats no identifier."""
    return value if _NUMBERS.fullmatch(value) else unless_identifying(treatment, value)


def bytes_unless_identifying(treatment: Treatment, value: bytes) -> bytes | None:
    """Keep bytes in which no name stands; digits in them are chance."""
    small = value.lower()
    found = any(raw in small for raw in treatment.identifiers.raw if not _NUMBERS.fullmatch(raw))
    return None if found else value


def unless_identifying(treatment: Treatment, value: bytes) -> bytes | None:
    """Keep a text that repeats none of the instance's identifiers; None for one that does."""
    text = decode_leniently(value, treatment.encoding)
    return None if treatment.identifiers.occur_in(text) else value.rstrip(b" \0")


#: Where some identifier is repeated: how a kept value is looked at, by VR.
WARY: dict[str, Change] = {
    **dict.fromkeys((*TEXT, "AE", "CS", "PN", "UR"), unless_identifying),
    **dict.fromkeys(("DS", "IS"), number_unless_identifying),
    **dict.fromkeys(("OB", "OW", "UN"), bytes_unless_identifying),
}
