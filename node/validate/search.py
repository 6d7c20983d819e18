"""Whether values of the original are found again in what the output says.

Each output value that the key does not prove is split into words, dates and UIDs and compared with
the secrets. What a hit means is told in `judge`; `raw` is the second net, over the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from node.validate import charset, judge, words
from node.validate.findings import Finding, Severity
from node.validate.judge import BINARY
from node.validate.places import Origin, Place
from node.validate.secrets import Secrets

_MANUFACTURER = 0x00080070
#: Kept values of these are numbers or UIDs, and judged as such.
_NUMBERS = frozenset({"DS", "IS", "UI"})
#: Bytes of a binary value in which short words are looked for; strong ones are, in all of it.
LEGIBLE = 1 << 16


def search_places(places: list[Place], secrets: Secrets) -> Iterator[Finding]:
    """Search each place's value for words, dates and UIDs of the original."""
    vendors = _vendors(places)
    others: list[frozenset[str]] = []
    for place in places:
        value = place.element.value
        if place.element.vr in BINARY:
            value = value[:LEGIBLE].replace(b"\0", b" ")
        text = charset.decode(value, place.charset)
        if place.element.vr in _NUMBERS:
            yield from judge.judge_numbers(place, text, secrets)
            if not any(map(str.isalpha, text)):
                continue
        found = words.words(text)
        yield from judge.judge_compact(place, text, found, secrets)
        for word in secrets.words.keys() & found:
            yield from judge.judge_word(place, word, secrets.words[word], vendor=word in vendors)
        if place.origin is not Origin.KEPT and place.element.vr not in BINARY:
            yield from judge.judge_written(place, found, secrets, others)
        if secrets.dates & words.dates(text):
            yield judge.finding_at(place, Severity.LEAK, "Says a date of the original.")
        if secrets.uids & words.uids(text):
            yield judge.finding_at(place, Severity.LEAK, "Holds a UID of the original.")


def _vendors(places: list[Place]) -> frozenset[str]:
    """Give the words of the equipment's manufacturers: hospitals are sometimes entered so."""
    return frozenset[str]().union(
        *(
            words.value_words(place.element.value, place.charset)
            for place in places
            if place.element.tag == _MANUFACTURER
        )
    )
