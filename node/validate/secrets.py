"""What of an original must not be found again: its secrets.

Every value that the profile does not keep is a secret of one rank, at every depth, in removed
sequences and private blocks too:

PATIENT   the patient's names, IDs and contacts (group 0010): what the node exists to hide;
IDENTITY  all other names (PN anywhere), IDs, places, stations, serial numbers: the text
          attributes of Table E.1-1 that no cleaning of descriptors may keep;
OTHER     descriptions, comments, private and unlisted text. A description says little by itself
          and shares its words with what is kept: compared only with text that was written new.

Beside words there are the instance UIDs and the dates. Codes (CS, AS) and numbers say something
only at their own place, where `law` compares them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache, cached_property, lru_cache

from node.profile.actions import Action
from node.profile.profile import Profile
from node.profile.tables import confidentiality_columns, confidentiality_row, uid_roles
from node.validate import charset, words
from node.validate.elements import PRIVATE, Item
from node.validate.lawbook import creator_of, private_rule
from node.validate.pseudonyms import is_registered

TEXT = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
SPECIFIC_CHARACTER_SET = 0x00080005
_PATIENT_GROUP = 0x0010
_CLEAN_DESCRIPTORS = confidentiality_columns().index("clean-descriptors")
#: Of group 0010: what is said of many people alike is not a name of the patient.
_COMMON = frozenset(
    {0x00100021, 0x00100024, 0x00101080, 0x00101081, 0x00102150, 0x00102152, 0x00102160,
     0x00102161, 0x00102162, 0x001021A0, 0x001021F0}
)  # fmt: skip
#: Timezone Offset From UTC is SH, but a time.
_TIMEZONE = 0x00080201
MAX_TEXT = 4096  # bytes of an opaque value in which words are looked for
_OPAQUE = frozenset({"UN", "OB"})
_SPOKEN = TEXT | _OPAQUE | {"DA", "DT", "UI"}
_KEPT = (Action.K,)


class Rank(IntEnum):
    """How much a secret matters; the higher one answers where two values share a word."""

    OTHER = 0
    IDENTITY = 1
    PATIENT = 2


@dataclass
class Secrets:
    """The secrets of one instance. Words are folded (see `words`), dates are YYYYMMDD.

    What is derived from them is asked for when all are collected.
    """

    words: dict[str, Rank] = field(default_factory=dict)
    uids: set[str] = field(default_factory=set)
    dates: set[str] = field(default_factory=set)
    #: Encoded forms that a search of raw bytes needs beyond the folded words (other scripts).
    encoded: dict[bytes, Rank] = field(default_factory=dict)
    #: The patient's IDs and numbers without anything between: letters and digits from 6 characters,
    #: digits alone from 5.
    compact: set[str] = field(default_factory=set)
    #: Words of IDENTITY attributes that an option keeps: no secrets of that rank.
    kept: set[str] = field(default_factory=set)
    #: Values of rank OTHER with their character sets, split only when something must be compared.
    others: list[tuple[bytes, tuple[str, ...]]] = field(default_factory=list)

    @cached_property
    def patient_words(self) -> frozenset[str]:
        """Give the words of the patient's own names, IDs and contacts."""
        return frozenset(word for word, rank in self.words.items() if rank is Rank.PATIENT)

    @cached_property
    def other_words(self) -> frozenset[str]:
        """Give the strong words of descriptions, comments, private and unlisted text."""
        found: set[str] = set()
        for value, declared in self.others:
            found.update(words.value_words(value[:MAX_TEXT].replace(b"\0", b" "), declared))
        return frozenset(word for word in found if words.is_strong(word))

    @cached_property
    def scripts(self) -> frozenset[str]:
        """Give the strong words of scripts that may do without spaces."""
        return frozenset(w for w in self.words if not w.isascii() and words.is_strong(w))

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Give the patient's IDs that are long numbers, without leading zeros, and all dates."""
        ids = {number.lstrip("0") for number in self.compact if number.isdigit()}
        return frozenset(n for n in ids if len(n) >= words.COMPACT_LENGTH) | self.dates


@cache
def rank_of(tag: int, vr: str) -> Rank:
    """Rank the text of an attribute."""
    if tag >> 16 == _PATIENT_GROUP and tag not in _COMMON and (vr == "PN" or _names(tag)):
        return Rank.PATIENT
    return Rank.IDENTITY if vr == "PN" or _names(tag) else Rank.OTHER


def _names(tag: int) -> bool:
    if tag == _TIMEZONE:
        return False
    row = None if tag >> 16 & 1 else confidentiality_row(tag)
    return row is not None and not row[_CLEAN_DESCRIPTORS]


def collect(dataset: Item, profile: Profile, assumed: str) -> Secrets:
    """Collect the secrets of an original. `assumed`: the character set where none is declared."""
    secrets = Secrets()
    declared = dataset.value(SPECIFIC_CHARACTER_SET) or assumed.encode()
    _collect_item(dataset, profile, charset.terms(declared), secrets)
    for word in secrets.kept:
        if secrets.words.get(word) == Rank.IDENTITY:
            del secrets.words[word]
    return secrets


def _collect_item(
    item: Item, profile: Profile, declared: tuple[str, ...], secrets: Secrets
) -> None:
    public, others = profile.public, secrets.others
    for tag, vr, value, _start, _length, items, _fragments in item:
        if items is not None:
            for inner in items:
                own = inner.value(SPECIFIC_CHARACTER_SET)
                _collect_item(inner, profile, charset.terms(own) if own else declared, secrets)
            continue
        if not value or vr not in _SPOKEN:
            continue
        private = tag & PRIVATE
        if _keeps(profile, item, tag, vr) if private else public(tag, vr).actions == _KEPT:
            if vr in TEXT and rank_of(tag, vr) is Rank.IDENTITY:
                secrets.kept |= words.value_words(value, declared)
        elif vr in _OPAQUE or (vr in TEXT and rank_of(tag, vr) is Rank.OTHER):
            others.append((value, declared))  # the most are of this rank: no call for each
        else:
            _collect_value(tag, vr, value, declared, secrets)


def _keeps(profile: Profile, item: Item, tag: int, vr: str) -> bool:
    """Tell whether a private element is kept."""
    if not profile.site_private_rules:
        return False
    rule = private_rule(profile, tag >> 16, creator_of(item, tag), tag & 0xFF, vr)
    return rule.actions == _KEPT


def _collect_value(
    tag: int, vr: str, value: bytes, declared: tuple[str, ...], secrets: Secrets
) -> None:
    """Collect from a UID, a date or a text of rank."""
    if vr == "UI":
        if uid_roles().get(tag) != "definition":
            secrets.uids.update(_instance_uids(value))
    elif vr in ("DA", "DT"):
        secrets.dates |= words.value_dates(value, declared)
    else:
        _add_words(value, rank_of(tag, vr), declared, secrets)


@lru_cache(1 << 12)
def _instance_uids(value: bytes) -> tuple[str, ...]:
    return tuple(
        uid.decode("latin_1")
        for uid in value.rstrip(b"\0 ").split(b"\\")
        if uid and not is_registered(uid)
    )


def _add_words(value: bytes, rank: Rank, declared: tuple[str, ...], secrets: Secrets) -> None:
    found, compact, encoded = _said(value, declared)
    for word in found:
        if secrets.words.get(word, Rank.OTHER) < rank:
            secrets.words[word] = rank
    if rank is Rank.PATIENT:
        secrets.compact |= compact
    for form in encoded:
        secrets.encoded[form] = rank


@lru_cache(1 << 12)
def _said(
    value: bytes, declared: tuple[str, ...]
) -> tuple[frozenset[str], frozenset[str], frozenset[bytes]]:
    """Give a value's words, what of them is an ID's, and how other scripts' words are encoded."""
    text = charset.decode(value, declared)
    found = words.secret_words(text)
    compact = frozenset[str]().union(*map(words.compact, found))
    plain = value.isascii() and b"\x1b" not in value
    return found, compact, frozenset() if plain else _encodings(text)


def _encodings(text: str) -> frozenset[bytes]:
    """Give how the words of other scripts lie in raw bytes, as `search` prepares those."""
    found = set()
    for word in words.components(text):
        if word.isascii() or not words.is_strong(word):
            continue
        for form in {word, word.upper(), word.lower(), word.title()}:
            for codec in ("utf_8", "latin_1", "utf_16_le", "utf_16_be", "shift_jis", "euc_kr"):
                encoded = form.encode(codec, "ignore").translate(None, b"\0").lower()
                if len(encoded) >= words.STRONG_LENGTH:
                    found.add(encoded)
    return frozenset(found)
