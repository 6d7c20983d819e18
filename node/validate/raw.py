"""Whether values of the original are found again in the output's bytes.

The second net under `search`: the whole header (all bytes but the pixel data; NULs taken out, so
that UTF-16 reads as one byte per character; ASCII in lower case) is searched for strong words,
dates and UIDs, whatever the attribute, VR or encoding they hide in; encapsulated pixel data for
strong words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from node.validate import charset, judge, words
from node.validate.elements import BULK, PIXEL_DATA, Element, Item
from node.validate.findings import Finding, Severity
from node.validate.judge import BINARY
from node.validate.places import Origin, Place, Where, path
from node.validate.reader import Parsed
from node.validate.search import LEGIBLE
from node.validate.secrets import Rank, Secrets

_LOWER = bytes(range(256)).lower()
_MANY = 48  # UIDs beyond which one pass for all is cheaper than one for each
_ANY_UID = re.compile(rb"[0-2](?:\.\d+){3,}")
#: What of these is no place is keyed, shifted, a UID or a number: judged by the law or `search`.
_TEXTUAL = frozenset(
    {
        "AE",
        "AS",
        "CS",
        "DA",
        "DS",
        "DT",
        "IS",
        "LO",
        "LT",
        "PN",
        "SH",
        "ST",
        "TM",
        "UC",
        "UI",
        "UR",
        "UT",
    }
)
_DATE_DIGITS = 8


def hits(output: Parsed, secrets: Secrets) -> list[bytes]:
    """Give the secrets that the header's bytes spell somewhere."""
    squeezed = b"".join(part for _, part in _header(output)).translate(_LOWER, b"\0")
    found = [needle for needle in _needles(secrets) if needle in squeezed]
    return found + _uid_hits(squeezed, secrets.uids)


def judge_hits(
    output: Parsed, needles: list[bytes], secrets: Secrets, places: list[Place]
) -> Iterator[Finding]:
    """Judge what `hits` gave: in values that the key proves it is chance, in others it is not."""
    if not needles:
        return
    judged = {(place.element.start, place.element.length): place for place in places}
    elements = list(_leaves(output.dataset, None))
    for needle in needles:
        yield from _judge_hit(output, needle, elements, judged, secrets)


def search_pixels(output: Parsed, secrets: Secrets) -> Iterator[Finding]:
    """Search encapsulated pixel data for strong words: it has more corners than its pixels."""
    element = output.dataset.by_tag.get(PIXEL_DATA)
    if element is None or element.fragments is None:
        return
    needles = [needle for needle in _needles(secrets) if len(needle) > words.SUBSTRING_LENGTH]
    for start, length in element.fragments:
        data = output.data[start : start + length].lower()
        if any(needle in data for needle in needles):
            explanation = "The compressed pixel data spells a word or date of the original."
            yield Finding("bytes", Severity.LEAK, path(None, PIXEL_DATA), explanation)


def _header(output: Parsed) -> list[tuple[int, bytes]]:
    """Give all bytes of the file but the pixel data's: before and after, by offset."""
    bulk = [output.dataset.by_tag[tag] for tag in BULK if tag in output.dataset.by_tag]
    if not bulk:
        return [(0, output.data[:])]
    start, end = bulk[0].start, bulk[0].start + bulk[0].length
    return [(0, output.data[:start]), (end, output.data[end:])]


def _needles(secrets: Secrets) -> Iterator[bytes]:
    for word, rank in secrets.words.items():
        if rank and len(word) >= words.SUBSTRING_LENGTH and word.isascii():
            yield word.encode()
    yield from secrets.encoded
    for date in secrets.dates:
        yield date.encode()


def _uid_hits(squeezed: bytes, uids: set[str]) -> list[bytes]:
    if len(uids) > _MANY:
        present = {uid.decode() for uid in _ANY_UID.findall(squeezed)}
        return [uid.encode() for uid in uids & present]
    return [uid.encode() for uid in uids if len(uid) > words.SUBSTRING_LENGTH
            and uid.encode() in squeezed]  # fmt: skip


def _judge_hit(
    output: Parsed,
    needle: bytes,
    elements: list[tuple[Element, Where | None]],
    judged: dict[tuple[int, int], Place],
    secrets: Secrets,
) -> Iterator[Finding]:
    pattern = re.compile(rb"\0*".join(re.escape(bytes([byte])) for byte in needle), re.IGNORECASE)
    first = elements[0][0].start if elements else 0
    for begin, match in _found(pattern, output, first):
        start, end = begin + match.start(), begin + match.end()
        if needle.isdigit() and not _stands_alone(match, needle):
            continue
        owner = next(
            ((element, where) for element, where in elements
             if element.start < end and start < element.start + element.length), None,
        )  # fmt: skip
        if owner is None:
            yield Finding(
                "bytes",
                Severity.LEAK,
                f"offset {start}",
                "Bytes outside every value repeat a value of the original.",
            )
        elif owner[0].vr in _TEXTUAL and (owner[0].start, owner[0].length) not in judged:
            continue
        elif owner[0].start <= start and end <= owner[0].start + owner[0].length:
            yield from _judge_bytes(*owner, needle, judged, secrets)


def _found(
    pattern: re.Pattern[bytes], output: Parsed, first: int
) -> Iterator[tuple[int, re.Match[bytes]]]:
    """Find a pattern in the header from an offset on; give also where each part of it begins."""
    for begin, part in _header(output):
        for match in pattern.finditer(part, max(0, first - begin)):
            yield begin, match


def _stands_alone(match: re.Match[bytes], needle: bytes) -> bool:
    """Tell whether digits are a number of their own; a date may be followed by its time."""
    start, end = match.span()
    before, after = match.string[start - 1 : start], match.string[end : end + 1]
    dated = len(needle) == _DATE_DIGITS
    return not (before.isdigit() and before != b"0") and (dated or not after.isdigit())


def _judge_bytes(
    element: Element,
    where: Where | None,
    needle: bytes,
    judged: dict[tuple[int, int], Place],
    secrets: Secrets,
) -> Iterator[Finding]:
    place = judged.get((element.start, element.length))
    place = place or Place(Origin.WRITTEN, element, where, ("",))
    text = words.words(charset.decode(element.value, place.charset))
    word = needle.decode("latin_1")
    within = [longer for longer in text if word in longer]
    rank = secrets.words.get(word, Rank.IDENTITY)
    patient = rank is Rank.PATIENT
    if word in within:
        read = element.vr not in BINARY or element.length <= LEGIBLE
        if (element.start, element.length) not in judged or not read:
            yield from judge.judge_word(place, word, rank)
        return
    if within and all(
        not judge.is_unsafe(longer) or (longer in secrets.kept and not patient) for longer in within
    ):
        yield judge.finding_at(
            place,
            Severity.NOTE,
            "A common or kept word contains a word of the original: probably chance.",
        )
    elif place.origin is Origin.KEPT and judge.is_code_or_product(place):
        yield judge.finding_at(
            place,
            Severity.NOTE,
            "A code or product contains a word of the original: probably chance.",
        )
    else:
        yield judge.finding_at(
            place, Severity.LEAK, "The bytes of this value repeat one of the original."
        )


def _leaves(item: Item, where: Where | None) -> Iterator[tuple[Element, Where | None]]:
    for element in item:
        if element.items is None:
            yield element, where
        for index, inner in enumerate(element.items or ()):
            yield from _leaves(inner, Where(where, element.tag, index))
