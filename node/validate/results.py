"""Is one value a lawful result of an action upon another? One small predicate per action.

Values come as `Pair`: the element as it was and as it is. Written from PS3.15 Table E.1-1a and
docs/pseudonyms.md; nothing here knows how the engine reaches its results.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from node.profile.defaults import fits
from node.profile.tables import attribute
from node.profile.vocabulary import WORD, Standing, standing
from node.validate import charset, pseudonyms, words
from node.validate.elements import Element
from node.validate.pseudonyms import Subkeys

NUMBERS = {"AT": 2, "FD": 8, "FL": 4, "OB": 1, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2, "SL": 4,
           "SS": 2, "SV": 8, "UL": 4, "UN": 1, "US": 2, "UV": 8}  # fmt: skip
#: What a dummy of each VR may be: it tells that something was there, and nothing of it.
_DUMMIES = {
    "AS": re.compile(rb"000[DWMY]"),
    "DA": re.compile(rb"1900010[1-9]"),
    "DT": re.compile(rb"1900010[1-9](0{2,6}(\.0+)?)?([+-]0000)?"),
    "TM": re.compile(rb"0{1,5}[0-9](\.0+)?"),
    "DS": re.compile(rb"[01](\.0+)?"),
    "IS": re.compile(rb"[01]"),
    "UI": re.compile(rb"2\.25\.\d{1,39}|1\.2\.840\.10008\.[\d.]+"),
    "UR": re.compile(rb"[a-z]+:[a-z/.-]*\.invalid/?|urn:[a-z:-]+"),
}
#: A dummy text says nothing but that something is missing: no digits, no words of its own.
_DUMMY_TEXT = re.compile(
    rb"ANONYM(IZED|OUS)|DUMMY|Finding|NONE|REMOVED|Removed|UNKNOWN|UNSPECIFIED"
)
_TIME = re.compile(r"(\d\d(:?\d\d(:?\d\d(\.\d{1,6})?)?)?)?")
#: VRs whose dummy may be a document; its words are searched like any other's.
_BYTES = frozenset({"OB", "OW", "UN"})
_MAX_DUMMY_DOCUMENT = 16384  # bytes


@dataclass(frozen=True, slots=True)
class Patient:
    """The patient of a data set and what the key makes of it."""

    keys: Subkeys
    identity: bytes
    #: Patient ID and Patient's Name in the output.
    pseudonym: str
    #: Days by which dates go back; 0 where the profile does not move them.
    days: int

    @property
    def witness(self) -> str:
        """The keyed digest that tells two patients of one pseudonym apart."""
        return pseudonyms.witness(self.keys, self.identity)


@dataclass(frozen=True, slots=True)
class Pair:
    """An element before and after, with the character sets of their items."""

    source: Element
    output: Element
    source_charset: tuple[str, ...]
    output_charset: tuple[str, ...]
    big_endian: bool = False

    @property
    def before(self) -> str:
        """The source's value as text, without padding."""
        return charset.decode(self.source.value, self.source_charset).strip(" \0")

    @property
    def after(self) -> str:
        """The output's value as text, without padding."""
        return charset.decode(self.output.value, self.output_charset).strip(" \0")


def is_lawful_vr(pair: Pair) -> bool:
    """Tell whether the output's VR is the original's, or the dictionary's where that was UN."""
    if pair.output.vr == pair.source.vr:
        return True
    known = attribute(pair.output.tag)
    return pair.source.vr == "UN" if known is None else fits(pair.output.vr, known.vr)


def is_kept(pair: Pair) -> bool:
    """K: the same value; padding and character set may differ."""
    before, after = pair.source.value, pair.output.value
    if before == after:
        return True
    width = NUMBERS.get(pair.output.vr)
    if width is None:
        return pair.before == pair.after
    if pair.big_endian and width > 1:
        before = _swapped(before, 2 if pair.output.vr == "AT" else width)
    return before == after or (len(before) & 1 and before + b"\0" == after) == 1


def _swapped(value: bytes, width: int) -> bytes:
    if len(value) % width:
        return value
    return b"".join(value[at : at + width][::-1] for at in range(0, len(value), width))


def is_remapped(pair: Pair, patient: Patient) -> bool:
    """U: each UID is the keyed image of the UID that stood there."""
    before = pair.source.value.rstrip(b"\0 ").split(b"\\")
    after = pair.output.value.rstrip(b"\0 ").split(b"\\")
    images = [pseudonyms.new_uid(patient.keys.uid, uid) for uid in before]
    return after == images


def is_empty(element: Element) -> bool:
    """Z: nothing is left."""
    if element.items is not None:
        return not element.items
    return not (element.value if element.vr in NUMBERS else element.value.strip(b" \0"))


def is_dummy(pair: Pair) -> bool:
    """D (and Z where a value is needed): a dummy for everyone, and not what was there before."""
    after = pair.output.value.strip(b" \0")
    return is_dummy_value(pair.output.vr, after) and after != pair.source.value.strip(b" \0")


def is_dummy_value(vr: str, value: bytes) -> bool:
    """Tell whether a value without padding could stand for anything of that VR."""
    if vr in _BYTES:
        return len(value) <= _MAX_DUMMY_DOCUMENT
    if vr in NUMBERS:
        return not any(value)
    pattern = _DUMMIES.get(vr, _DUMMY_TEXT)
    return all(pattern.fullmatch(part.strip(b" ")) for part in value.split(b"\\"))


def is_shifted(pair: Pair, patient: Patient) -> bool:
    """C on a date: exactly the patient's days earlier, each value by itself; times stay."""
    if pair.output.vr == "TM":
        return pair.before == pair.after and not is_unparsable(pair)
    shift = pseudonyms.shifted_date_time if pair.output.vr == "DT" else pseudonyms.shifted_date
    if not patient.days:
        return False
    moved = [shift(value, patient.days) or "" for value in pair.before.split("\\")]
    return pair.after.split("\\") == moved or pair.after.split("\\") == [m for m in moved if m]


def is_unparsable(pair: Pair) -> bool:
    """Tell whether the source holds a date that no calendar knows, or a time that is none."""
    if pair.source.vr == "TM":
        return not all(_TIME.fullmatch(value.strip(" ")) for value in pair.before.split("\\"))
    shift = pseudonyms.shifted_date_time if pair.source.vr == "DT" else pseudonyms.shifted_date
    return any(shift(value, 1) is None for value in pair.before.split("\\"))


def is_cleaned(pair: Pair, patient_words: frozenset[str]) -> bool:
    """C on text: only words known to be safe, none of the patient's, none that was not there."""
    before, after = pair.before, pair.after
    separators = set(WORD.sub("", after))
    return (
        _are_safe(after, patient_words)
        and _runs(after) <= _runs(before)
        and separators <= {*before, " "}
    )


@lru_cache(1 << 12)
def _runs(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text))


@lru_cache(1 << 12)
def _are_safe(text: str, patient_words: frozenset[str]) -> bool:
    return not patient_words & words.words(text) and all(
        standing(word) is not Standing.UNKNOWN for word in _runs(text)
    )
