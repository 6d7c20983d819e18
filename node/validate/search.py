"""Whether values of the original are found again in the output.

Two nets. Each output value that the key does not prove is split into words, dates and UIDs and
compared with the secrets. And the whole header (all bytes but the pixel data; NULs taken out, so
that UTF-16 reads as one byte per character; ASCII in lower case) is searched for strong words,
dates and UIDs as bytes, whatever the attribute, VR or encoding they hide in.

What a hit means depends on where it is (`places.Origin`) and on the secret's rank:

- in a value that was written new, any strong secret is a leak. Words known to be safe are not (they
  are what cleaning leaves), unless they are the patient's own;
- in a value that is kept as it was, a strong word of the patient's is a leak; if the word is also
  known to be safe, or the value is a code or the equipment's name (a patient named CHEST, and Body
  Part CHEST), it is probably chance: a person decides (HOLD). So with three letters that nobody
  knows; anything shorter is noted. Other people's and places' words are a leak too, and chance is
  only noted;
- dates and UIDs are leaks anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from node.profile.vocabulary import Standing, standing
from node.validate import charset, words
from node.validate.findings import Finding, Severity
from node.validate.places import Origin, Place, Where, path
from node.validate.reader import BULK, PIXEL_DATA, Buffer, Element, Item, Parsed
from node.validate.results import NUMBERS
from node.validate.secrets import Rank, Secrets

#: Manufacturer, model, version: their words are products, and people have such names too.
_EQUIPMENT = frozenset(
    {0x00080070, 0x00081090, 0x00181016, 0x00181018, 0x00181019, 0x00181020, 0x00189524, 0x00189525}
)
_LOWER = bytes(range(256)).lower()
_MANY = 48  # UIDs beyond which one pass for all is cheaper than one for each
_ANY_UID = re.compile(rb"[0-2](?:\.\d+){3,}")
#: Not among the places although their bytes match: empty, keyed, shifted or a plain number.
_PROVEN_BY_LAW = frozenset(
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
_MANUFACTURER = 0x00080070
#: Kept values of these are numbers or UIDs, and judged as such.
_NUMBERS = frozenset({"DS", "IS", "UI"})
_SEPARATORS = re.compile(r"[\W_]+")
_BINARY = frozenset(NUMBERS)
#: Bytes of a binary value in which short words are looked for; strong ones are, in all of it.
_LEGIBLE = 1 << 16
_WHAT = {
    Rank.PATIENT: "the patient's name, ID or contact",
    Rank.IDENTITY: "a name, ID or place in the original",
    Rank.OTHER: "a description, comment or private text of the original",
}


def search_places(places: list[Place], secrets: Secrets) -> Iterator[Finding]:
    """Search each place's value for words, dates and UIDs of the original."""
    vendors = _vendors(places)
    others: list[frozenset[str]] = []
    for place in places:
        value = place.element.value
        if place.element.vr in _BINARY:
            value = value[:_LEGIBLE].replace(b"\0", b" ")
        text = charset.decode(value, place.charset)
        if place.element.vr in _NUMBERS:
            yield from _judge_numbers(place, text, secrets)
            if not any(map(str.isalpha, text)):
                continue
        found = words.words(text)
        yield from _judge_compact(place, text, found, secrets)
        for word in secrets.words.keys() & found:
            yield from _judge_word(place, word, secrets.words[word], vendor=word in vendors)
        if place.origin is not Origin.KEPT and place.element.vr not in _BINARY:
            yield from _judge_written(place, found, secrets, others)
        if secrets.dates & words.dates(text):
            yield _finding(place, Severity.LEAK, "Says a date of the original.")
        if secrets.uids & words.uids(text):
            yield _finding(place, Severity.LEAK, "Holds a UID of the original.")


def _vendors(places: list[Place]) -> frozenset[str]:
    """Give the words of the equipment's manufacturers: hospitals are sometimes entered so."""
    return frozenset[str]().union(
        *(
            words.value_words(place.element.value, place.charset)
            for place in places
            if place.element.tag == _MANUFACTURER
        )
    )


def _judge_written(
    place: Place, found: frozenset[str], secrets: Secrets, others: list[frozenset[str]]
) -> Iterator[Finding]:
    """Judge a new text by the original's descriptions; `others` remembers their words."""
    unsafe = {word for word in found if words.is_strong(word) and _is_unsafe(word)}
    if unsafe and not others:
        others.append(secrets.other_words())
    if unsafe and unsafe & others[0]:
        yield _finding(place, Severity.LEAK, "Says a word of " + _WHAT[Rank.OTHER] + ".")


def _judge_numbers(place: Place, text: str, secrets: Secrets) -> Iterator[Finding]:
    """Judge kept numbers and UIDs: chance, unless one is a whole ID or date of the patient's."""
    if place.element.vr == "UI":
        if secrets.uids & {*words.uids(text), *text.strip(" \0").split("\\")}:
            yield _finding(place, Severity.LEAK, "Holds a UID of the original.")
        numbers = set(re.split(r"[.\\]", text.strip(" \0")))
    else:
        numbers = {_whole(part) for part in text.strip(" \0").split("\\")}
    ids = {number.lstrip("0") for number in secrets.compact if number.isdigit()}
    known = {number for number in ids if len(number) >= words.COMPACT_LENGTH} | secrets.dates
    if known & numbers:
        yield _finding(
            place,
            Severity.HOLD,
            "A kept number is an ID or a date of the original.",
        )


def _whole(number: str) -> str:
    """Give a decimal number's digits, if it is a whole number."""
    digits, _, fraction = number.strip(" \0+-").partition(".")
    return "" if fraction.strip("0") else digits.lstrip("0")


def _judge_compact(
    place: Place, text: str, found: frozenset[str], secrets: Secrets
) -> Iterator[Finding]:
    """Judge what is the patient's when separators are taken out, or short words side by side."""
    squeezed = _SEPARATORS.sub("", words.fold(text)) if secrets.compact else ""
    judged = secrets.words.keys() & found
    if any(secret in squeezed for secret in secrets.compact - judged):
        yield _finding(
            place, Severity.HOLD, "Without its separators it says an ID of the patient's."
        )
    short = [
        word
        for word in found
        if secrets.words.get(word) is Rank.PATIENT
        and not words.is_strong(word)
        and standing(word) in (Standing.UNKNOWN, Standing.ALSO_NAME)
    ]
    if len(short) > 1:
        yield _finding(place, Severity.HOLD, "Says two short words of the patient's name or ID.")


def _judge_word(place: Place, word: str, rank: Rank, *, vendor: bool = False) -> Iterator[Finding]:
    """Say what a whole word means where it was found. `vendor`: the manufacturer is called so."""
    safe = not _is_unsafe(word)
    chance = safe or _is_code_or_product(place)
    patient = rank is Rank.PATIENT
    if not words.is_strong(word):
        if patient:
            yield _judge_weak(place, word, chance=chance)
    elif place.origin is not Origin.KEPT:
        if patient or not chance:
            yield _finding(place, Severity.LEAK, f"Says a word of {_WHAT[rank]}.")
    elif not chance:
        yield _finding(place, Severity.LEAK, f"Kept, but it says a word of {_WHAT[rank]}.")
    else:
        yield _finding(
            place,
            Severity.NOTE if not patient and (safe or vendor) else Severity.HOLD,
            f"Kept, and it says a word that is also in {_WHAT[rank]}. It is a code, a product or a "
            "common term, so this may be chance: somebody should look.",
        )


def _judge_weak(place: Place, word: str, *, chance: bool) -> Finding:
    """Judge a short word of the patient's: three unknown letters in a text are worth a look."""
    what = _WHAT[Rank.PATIENT]
    binary = place.element.vr in _BINARY
    if place.origin is not Origin.KEPT and not chance:
        return _finding(place, Severity.LEAK, f"Says a short word of {what}.")
    if len(word) == words.STRONG_LENGTH - 1 and word.isalpha() and not chance and not binary:
        return _finding(
            place, Severity.HOLD, f"Kept, and it says a short word of {what}: somebody should look."
        )
    return _finding(
        place, Severity.NOTE, f"Says a short word that is also in {what}: most likely chance."
    )


def _is_code_or_product(place: Place) -> bool:
    return place.element.vr == "CS" or place.element.tag in _EQUIPMENT


def _is_unsafe(word: str) -> bool:
    return standing(word) is Standing.UNKNOWN


def _finding(place: Place, severity: Severity, explanation: str) -> Finding:
    return Finding("search", severity, path(place.where, place.element.tag), explanation)


def search_bytes(output: Parsed, secrets: Secrets, places: list[Place]) -> Iterator[Finding]:
    """Search the header's bytes; hits in values that the key proves are chance, others are not."""
    header = _header(output)
    squeezed = header.translate(_LOWER, b"\0")
    hits = [needle for needle in _needles(secrets) if needle in squeezed]
    hits += _uid_hits(squeezed, secrets.uids)
    if not hits:
        return
    judged = {(place.element.start, place.element.length): place for place in places}
    elements = list(_leaves(output.dataset, None))
    for needle in hits:
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


def _header(output: Parsed) -> bytes:
    """Give all bytes of the file but the pixel data's."""
    bulk = [output.dataset.by_tag[tag] for tag in BULK if tag in output.dataset.by_tag]
    if not bulk:
        return output.data[:]
    start, end = bulk[0].start, bulk[0].start + bulk[0].length
    return output.data[:start] + output.data[end:]


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
    for match in pattern.finditer(output.data, first):
        start, end = match.span()
        if needle.isdigit() and not _stands_alone(output.data, start, end, needle):
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
        elif owner[0].vr in _PROVEN_BY_LAW and (owner[0].start, owner[0].length) not in judged:
            continue
        elif owner[0].start <= start and end <= owner[0].start + owner[0].length:
            yield from _judge_bytes(*owner, needle, judged, secrets)


def _stands_alone(data: Buffer, start: int, end: int, needle: bytes) -> bool:
    """Tell whether digits are a number of their own; a date may be followed by its time."""
    before, after = data[start - 1 : start], data[end : end + 1]
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
        read = element.vr not in _BINARY or element.length <= _LEGIBLE
        if (element.start, element.length) not in judged or not read:
            yield from _judge_word(place, word, rank)
        return
    if within and all(
        not _is_unsafe(longer) or (longer in secrets.kept and not patient) for longer in within
    ):
        yield _finding(
            place,
            Severity.NOTE,
            "A common or kept word contains a word of the original: probably chance.",
        )
    elif place.origin is Origin.KEPT and _is_code_or_product(place):
        yield _finding(
            place,
            Severity.NOTE,
            "A code or product contains a word of the original: probably chance.",
        )
    else:
        yield _finding(place, Severity.LEAK, "The bytes of this value repeat one of the original.")


def _leaves(item: Item, where: Where | None) -> Iterator[tuple[Element, Where | None]]:
    for element in item:
        if element.items is None:
            yield element, where
        for index, inner in enumerate(element.items or ()):
            yield from _leaves(inner, Where(where, element.tag, index))
