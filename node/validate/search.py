"""Whether values of the original are found again in what the output says.

Each output value that the key does not prove is split into words, dates and UIDs and compared with
the secrets. What a hit means is told in `judge`; `raw` is the second net, over the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from node.validate import charset, judge, words
from node.validate.elements import Item
from node.validate.findings import Finding, Severity
from node.validate.judge import BINARY
from node.validate.places import Origin, Place
from node.validate.secrets import Secrets

_MANUFACTURER = 0x00080070
#: Kept values of these are numbers or UIDs, and judged as such.
_NUMBERS = frozenset({"DS", "IS", "UI"})
#: Bytes of a binary value in which short words are looked for; strong ones are, in all of it.
LEGIBLE = 1 << 16
#: Bytes of one number at most: longer binary values are many, and could spell something.
ONE_NUMBER = 8


def search_place(
    place: Place, secrets: Secrets, vendors: Callable[[], frozenset[str]]
) -> Iterator[Finding]:
    """Search a place's value for words, dates and UIDs of the original.

    `vendors` gives the words of the equipment's manufacturers.
    """
    value, vr = place.element.value, place.element.vr
    if vr in judge.BINARY_NUMBERS:
        yield from judge.judge_binary(place, secrets)
        if len(value) <= ONE_NUMBER:
            return
    if vr in BINARY:
        value = value[:LEGIBLE].replace(b"\0", b" ")
    text = charset.decode(value, place.charset)
    if vr in _NUMBERS:
        yield from judge.judge_numbers(place, text, secrets)
        if not any(map(str.isalpha, text)):
            return
    yield from _search_text(place, text, secrets, vendors)
    if vr not in BINARY and secrets.dates & words.ordinal_dates(text) - words.dates(text):
        explanation = "Says a date of the original by the day of its year."
        yield judge.finding_at(place, Severity.HOLD, explanation)


def _search_text(
    place: Place, text: str, secrets: Secrets, vendors: Callable[[], frozenset[str]]
) -> Iterator[Finding]:
    found = words.words(text)
    yield from judge.judge_compact(place, text, found, secrets)
    for word in secrets.words.keys() & found:
        vendor = word in vendors()
        yield from judge.judge_word(place, word, secrets.words[word], vendor=vendor)
    if is_compared(place):
        yield from judge.judge_written(place, found, secrets)
    if secrets.dates & words.dates(text):
        yield judge.finding_at(place, Severity.LEAK, "Says a date of the original.")
    if secrets.uids & words.uids(text):
        yield judge.finding_at(place, Severity.LEAK, "Holds a UID of the original.")


def is_compared(place: Place) -> bool:
    """Tell whether a value is new text: compared with all that the original says."""
    return place.origin is not Origin.KEPT and place.element.vr not in BINARY


def is_settled(place: Place) -> bool:
    """Tell whether a value holds nothing that would be compared with all that the original says."""
    found = words.value_words(place.element.value, place.charset)
    return not is_compared(place) or not judge.unsafe_words(found)


def vendors_of(output: Item) -> frozenset[str]:
    """Give the words of the equipment's manufacturers: hospitals are sometimes entered so."""
    found: set[str] = set()
    for element in output:
        if element.tag == _MANUFACTURER:
            found |= words.value_words(element.value, ("",))
        for item in element.items or ():
            found |= vendors_of(item)
    return frozenset(found)
