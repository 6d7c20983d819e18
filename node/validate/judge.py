"""What it means that a secret of the original is found at a place of the output.

What a hit means depends on where it is (`places.Origin`) and on the secret's rank:

- in a value that was written new, any strong secret is a leak. Words known to be safe are not (they
  are what cleaning leaves), unless they are the patient's own;
- in a value that is kept as it was, a strong word of the patient's is a leak; if the word is also
  known to be safe, or the value is a code or the equipment's name (a patient named CHEST, and Body
  Part CHEST), it is probably chance: a person decides (HOLD). So with three letters that nobody
  knows; anything shorter is noted. Other people's and places' words are a leak too; in a code or
  product an unknown one is looked at, unless the manufacturer is called so, and a safe one noted;
- an ID of the patient's whose separators were changed, two short words of the patient's name in
  one value, and a kept number that is an ID or a date as a whole, are looked at (HOLD);
- dates and UIDs in text are leaks anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from node.profile.vocabulary import Standing, standing
from node.validate import words
from node.validate.findings import Finding, Severity
from node.validate.places import Origin, Place, path
from node.validate.results import NUMBERS
from node.validate.secrets import Rank, Secrets

#: Manufacturer, model, version: their words are products, and people have such names too.
_EQUIPMENT = frozenset(
    {0x00080070, 0x00081090, 0x00181016, 0x00181018, 0x00181019, 0x00181020, 0x00189524, 0x00189525}
)
_SEPARATORS = re.compile(r"[\W_]+")
_WHAT = {
    Rank.PATIENT: "the patient's name, ID or contact",
    Rank.IDENTITY: "a name, ID or place in the original",
    Rank.OTHER: "a description, comment or private text of the original",
}
#: VRs of binary values, in which three letters are chance.
BINARY = frozenset(NUMBERS)
_BINARY_NUMBERS = {"FD": "<f8", "FL": "<f4", "SL": "<i4", "UL": "<u4", "SV": "<i8", "UV": "<u8"}
#: Binary numbers that are long enough for an ID.
BINARY_NUMBERS = frozenset(_BINARY_NUMBERS)
_MOST_NUMBERS = 1 << 16  # bytes of a value in which IDs are looked for
_EXACT = 15  # digits that a double holds exactly


def judge_written(place: Place, found: frozenset[str], secrets: Secrets) -> Iterator[Finding]:
    """Judge a new text by the original's descriptions."""
    unsafe = unsafe_words(found)
    if unsafe and unsafe & secrets.other_words:
        yield finding_at(place, Severity.LEAK, "Says a word of " + _WHAT[Rank.OTHER] + ".")


@lru_cache(1 << 12)
def unsafe_words(found: frozenset[str]) -> frozenset[str]:
    """Give the strong words that nobody knows to be safe."""
    return frozenset(word for word in found if words.is_strong(word) and is_unsafe(word))


def judge_numbers(place: Place, text: str, secrets: Secrets) -> Iterator[Finding]:
    """Judge kept numbers and UIDs: chance, unless one is a whole ID or date of the patient's."""
    if place.element.vr == "UI":
        if secrets.uids & {*words.uids(text), *text.strip(" \0").split("\\")}:
            yield finding_at(place, Severity.LEAK, "Holds a UID of the original.")
        numbers = set(re.split(r"[.\\]", text.strip(" \0")))
    else:
        numbers = {_whole(part) for part in text.strip(" \0").split("\\")}
    if not numbers.isdisjoint(secrets.numbers):
        yield finding_at(
            place,
            Severity.HOLD,
            "A kept number is an ID or a date of the original.",
        )


def judge_binary(place: Place, secrets: Secrets) -> Iterator[Finding]:
    """Judge kept binary numbers: one may be a whole ID or date of the patient's."""
    kind = np.dtype(_BINARY_NUMBERS[place.element.vr])
    value = place.element.value[:_MOST_NUMBERS]
    found = np.frombuffer(value[: len(value) - len(value) % kind.itemsize], kind)
    wanted = [float(number) for number in secrets.numbers if len(number) <= _EXACT]
    if wanted and np.isin(np.abs(found.astype(np.float64)), wanted).any():
        yield finding_at(place, Severity.HOLD, "A kept number is an ID or a date of the original.")


def _whole(number: str) -> str:
    """Give a decimal number's digits, if it is a whole number; 1.5E3 is one."""
    number = number.strip(" \0+-")
    if "e" in number.casefold():
        try:
            value = float(number)
        except ValueError:
            return ""
        return str(int(value)) if value.is_integer() else ""
    digits, _, fraction = number.partition(".")
    return "" if fraction.strip("0") else digits.lstrip("0")


def judge_compact(
    place: Place, text: str, found: frozenset[str], secrets: Secrets
) -> Iterator[Finding]:
    """Judge an ID without its separators, a name in a script without spaces, and short words."""
    folded = words.fold(text)
    judged = secrets.words.keys() & found
    if secrets.compact:
        squeezed = folded if folded.isalnum() else _SEPARATORS.sub("", folded)
        if any(secret in squeezed for secret in secrets.compact - judged):
            yield finding_at(
                place, Severity.HOLD, "Without its separators it says an ID of the patient's."
            )
    if secrets.scripts:
        for word in secrets.scripts - judged:
            if secrets.words[word] and word in folded:
                yield from judge_word(place, word, secrets.words[word])
    short = [
        word
        for word in judged
        if secrets.words[word] is Rank.PATIENT
        and not words.is_strong(word)
        and standing(word) in (Standing.UNKNOWN, Standing.ALSO_NAME)
    ]
    if len(short) > 1:
        yield finding_at(place, Severity.HOLD, "Says two short words of the patient's name or ID.")


def judge_word(place: Place, word: str, rank: Rank, *, vendor: bool = False) -> Iterator[Finding]:
    """Say what a whole word means where it was found. `vendor`: the manufacturer is called so."""
    safe = not is_unsafe(word)
    chance = safe or is_code_or_product(place)
    patient = rank is Rank.PATIENT
    if not words.is_strong(word):
        if patient:
            yield _judge_weak(place, word, chance=chance)
    elif place.origin is not Origin.KEPT:
        if patient or not chance:
            yield finding_at(place, Severity.LEAK, f"Says a word of {_WHAT[rank]}.")
    elif not chance:
        yield finding_at(place, Severity.LEAK, f"Kept, but it says a word of {_WHAT[rank]}.")
    else:
        yield finding_at(
            place,
            Severity.NOTE if not patient and (safe or vendor) else Severity.HOLD,
            f"Kept, and it says a word that is also in {_WHAT[rank]}. It is a code, a product or a "
            "common term, so this may be chance: somebody should look.",
        )


def _judge_weak(place: Place, word: str, *, chance: bool) -> Finding:
    """Judge a short word of the patient's: three unknown letters in a text are worth a look."""
    what = _WHAT[Rank.PATIENT]
    binary = place.element.vr in BINARY
    if place.origin is not Origin.KEPT and not chance:
        return finding_at(place, Severity.LEAK, f"Says a short word of {what}.")
    if len(word) == words.STRONG_LENGTH - 1 and word.isalpha() and not chance and not binary:
        return finding_at(
            place, Severity.HOLD, f"Kept, and it says a short word of {what}: somebody should look."
        )
    return finding_at(
        place, Severity.NOTE, f"Says a short word that is also in {what}: most likely chance."
    )


def is_code_or_product(place: Place) -> bool:
    """Tell whether a value is a code, or names the equipment."""
    return place.element.vr == "CS" or place.element.tag in _EQUIPMENT


def is_unsafe(word: str) -> bool:
    """Tell whether a folded word is not known to be safe."""
    return standing(word) is Standing.UNKNOWN


def finding_at(place: Place, severity: Severity, explanation: str) -> Finding:
    """Make a finding about a place."""
    return Finding("search", severity, path(place.where, place.element.tag), explanation)
