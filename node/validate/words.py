"""What counts as a word when source values are searched for: the law of tokens.

A value is folded (case, accents; ä is both a and ae) and split into words: runs of letters and
digits. A hyphenated or spaced value is also one long word. Then

- a **strong** word is at least 4 characters long (2 if it has a character beyond ASCII): finding it
  is hardly chance. From 5 characters on it is also searched inside longer words and in raw bytes;
- a **weak** word is shorter, from 2 characters on: looked for as a whole word only, never enough to
  hold a study ("CT", "Li", "12");
- one character says nothing and is not searched for; nor do words that mean nobody ("unknown").

A date is found in its usual spellings (20200704, 04072020, 040720, 2020-07-04, 4.7.2020, 04_07_20,
4 July 2020, July 4, 2020, 04JUL2020, 4.VII.2020; day and month either way round), with or without
leading zeros, but not as a bare year. As the day of its year (2020-186, 2020186) it is told apart:
that may be chance, and somebody looks.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, timedelta
from functools import lru_cache

from node.validate import charset

#: Written where a name or ID is wanted and nobody is meant.
PLACEHOLDERS = frozenset(
    ("unknown", "anonymous", "anonymized", "anonymised", "anonymize", "deidentified", "removed",
     "unspecified", "undefined", "none", "null", "http", "https", "www")
)  # fmt: skip
COMPACT_LENGTH = 6
_LONGEST_YEAR = 366  # days
STRONG_LENGTH, SUBSTRING_LENGTH, WEAK_LENGTH = 4, 5, 2
_WORD = re.compile(r"[^\W_]+")
#: Letters that Unicode does not take apart, as they are written without their stroke.
_STROKES = str.maketrans(
    {
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "ł": "l",
        "ħ": "h",
        "\u0131": "i",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
    }
)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae"})
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan january januar janvier i", "feb february februar fevrier ii",
         "mar march marz maerz mars iii", "apr april avril iv", "may mai v",
         "jun june juni juin vi",
         "jul july juli juillet vii", "aug august aout viii", "sep sept september septembre ix",
         "oct october okt oktober octobre x", "nov november novembre xi",
         "dec december dez dezember decembre xii"), 1)
    for name in names.split()
}  # fmt: skip
_BETWEEN = "[-./_: ]"
_SPELLED = re.compile(
    rf"(?<!\d)(?:(?P<y>\d{{4}})(?P<s>{_BETWEEN}?)(?P<m>\d\d?)(?P=s)(?P<d>\d\d?)"
    rf"|(?P<a>\d\d?){_BETWEEN}(?P<b>\d\d?){_BETWEEN}(?P<y2>\d{{4}}|\d\d)"
    rf"|(?P<d3>\d\d?)(?:st|nd|rd|th)?{_BETWEEN}{{0,2}}(?P<n3>[^\W\d_]{{1,9}})"
    rf",?{_BETWEEN}{{0,2}}(?P<y3>\d{{4}}|\d\d)"
    rf"|(?P<y5>\d{{4}}){_BETWEEN}?(?P<n5>[^\W\d_]{{3,9}}){_BETWEEN}?(?P<d5>\d\d?)"
    r")(?!\d)|(?<!\d)(?P<dt>\d{8})(?=\d{2,6}(?!\d))"
    rf"|(?P<n4>[^\W\d_]{{3,9}}){_BETWEEN}{{0,2}}(?P<d4>\d\d?)(?:st|nd|rd|th)?,?{_BETWEEN}{{1,2}}"
    r"(?P<y4>\d{4})(?!\d)"
)
_ORDINAL = re.compile(r"(?<![\d.])(\d{4})[-./ ]?(\d{3})(?![\d.])")
_RUN = re.compile(r"(?<!\d)(?:\d{8}|\d{6})(?!\d)")
_UID = re.compile(r"(?<![\d.])[0-2](?:\.\d+){3,}")


@lru_cache(1 << 14)
def fold(text: str) -> str:
    """Fold case and accents, so that Müller, MULLER and muller are one."""
    text = text.casefold()
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text.translate(_STROKES))
    return "".join(character for character in decomposed if not unicodedata.combining(character))


@lru_cache(1 << 14)
def words(text: str) -> frozenset[str]:
    """Give the words of a text, folded, of two or more characters."""
    found = set(_WORD.findall(fold(text)))
    if not text.isascii():
        found.update(_WORD.findall(fold(text.casefold().translate(_UMLAUTS))))
    return frozenset(word for word in found if len(word) >= WEAK_LENGTH)


@lru_cache(1 << 14)
def value_words(value: bytes, declared: tuple[str, ...]) -> frozenset[str]:
    """Give the words of an encoded text value."""
    return words(charset.decode(value, declared))


@lru_cache(1 << 12)
def value_dates(value: bytes, declared: tuple[str, ...]) -> frozenset[str]:
    """Give the dates of an encoded value."""
    return dates(charset.decode(value, declared))


def secret_words(text: str) -> frozenset[str]:
    """Give the words to search for: those of each value, and each component run together."""
    found = set(words(text))
    for group in re.split(r"[\\=]", text):
        components = ["".join(_WORD.findall(fold(part))) for part in group.split("^")]
        found.update(joined for joined in components if len(joined) >= WEAK_LENGTH)
        if len(components) > 1:
            family, given = components[:2]
            found.update({family + given, given + family} - {""})
    return frozenset(found - PLACEHOLDERS)


@lru_cache(1 << 12)
def compact(word: str) -> frozenset[str]:
    """Give what of an ID is known even with separators put in: itself, and its longer numbers."""
    if not any(map(str.isdigit, word)):
        return frozenset()
    whole = {word} if len(word) >= COMPACT_LENGTH else set()
    return frozenset(whole | set(re.findall(r"\d{5,}", word)))


def is_strong(word: str) -> bool:
    """Tell whether meeting the word by chance is unlikely."""
    return len(word) >= (STRONG_LENGTH if word.isascii() else WEAK_LENGTH)


@lru_cache(1 << 14)
def dates(text: str) -> frozenset[str]:
    """Give every date that a text spells out, as YYYYMMDD; an ambiguous one in each reading."""
    if not any(map(str.isdigit, text)):
        return frozenset()
    found: set[str] = set()
    for match in _SPELLED.finditer(fold(text)):
        found.update(_readings(match.groupdict()))
    for run in _RUN.findall(text):
        found.update(_run_readings(run))
    return frozenset(found)


@lru_cache(1 << 14)
def ordinal_dates(text: str) -> frozenset[str]:
    """Give the dates that a text tells by the day of the year, as YYYYMMDD (ISO 8601 5.2.2.2)."""
    found = set()
    for year, day in _ORDINAL.findall(text):
        if year > "0000" and 0 < int(day) <= _LONGEST_YEAR:
            found.add((date(int(year), 1, 1) + timedelta(int(day) - 1)).strftime("%Y%m%d"))
    return frozenset(found)


def _run_readings(run: str) -> list[str]:
    """Read 19031947, 03191947, 190347 and 470319 too."""
    first, second, year = run[:2], run[2:4], run[4:]
    readings = [
        _date(century, *order)
        for century in _years(year)
        for order in ((second, first), (first, second))
    ]
    return readings + [_date(century, second, year) for century in _years(first)]


def _readings(part: dict[str, str | None]) -> list[str]:
    if whole := part["dt"]:
        return [whole]
    if year := part["y"]:
        return [_date(year, part["m"], part["d"])]
    if year := part["y2"]:
        first, second = part["a"], part["b"]
        orders = [(second, first), (first, second)]
        readings = [_date(century, *order) for century in _years(year) for order in orders]
        if len(year) == 2:  # noqa: PLR2004 -- 20-07-04: the year may come first
            readings += [_date(century, second, year) for century in _years(first or "")]
        return readings
    name = part["n3"] or part["n4"] or part["n5"] or ""
    month = _MONTHS.get(name)
    day = part["d3"] or part["d4"] or part["d5"]
    year = part["y3"] or part["y4"] or part["y5"] or ""
    return [_date(century, str(month), day) for century in _years(year)] if month else []


def _years(year: str) -> list[str]:
    return [year] if len(year) == 4 else [f"19{year:>02}", f"20{year:>02}"]  # noqa: PLR2004


def _date(year: str | None, month: str | None, day: str | None) -> str:
    return f"{year}{month or '':>02}{day or '':>02}"


@lru_cache(1 << 14)
def uids(text: str) -> frozenset[str]:
    """Give everything in a text that looks like a UID of four or more components."""
    return frozenset(_UID.findall(text)) if "." in text else frozenset()


def components(text: str) -> frozenset[str]:
    """Give the words of a text as they are spelled, unfolded."""
    return frozenset(re.findall(r"[^\W_]+", text))
