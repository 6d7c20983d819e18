"""Clean Descriptors' vocabulary: which words of a description may stay (PS3.15 E.3.5).

An allow list, as E.3.5 advises. A text is taken as `WORD`s with separators between; the rules
by which a word stays are told in docs/profiles.md, "Clean Descriptors". What a word is called here
does not depend on the instance; whatever the instance's own identifiers contain goes in any case.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import cache, lru_cache

from node.profile.tables import DATA

#: A word: a number with its decimals and unit, or a run of letters and digits.
WORD = re.compile(r"\d+(?:[.,]\d+)+[^\W\d_]*|[^\W_]+")

#: Numbers with their unit, field strengths, vertebrae, b-values, kernels: they say how, not who.
_MEASURE = re.compile(
    r"\d{1,3}(?:[.,]\d{1,2})?(?:mm|cm|ml|cc|kv|kvp|mas?|deg|s|sec|min|t)"
    r"|\d{1,4}(?:ms|hz|khz|mhz|mbq|mgy)"
    r"|[ct]\d|l[1-6]|s[1-5]|t1[0-2]"
    r"|b\d{1,3}|b\d\d00|[bhiju]\d\d[fhrs]?|\d{1,2}x\d{1,2}|\d{1,2}d"
)
#: A number that stands alone: a thickness, a phase, a count. Not 90 and more: that may be an age.
_NUMBER = re.compile(r"\d|[1-8]\d|\d[.,]\d{1,3}|\d\d[.,][05]")


class Standing(StrEnum):
    """What a word is, for the one rule that asks."""

    SAFE = "safe"  #: in the vocabulary: stays
    ALSO_NAME = "also-name"  #: stays if neither neighbour is unknown
    NUMBER = "number"  #: stays if neither neighbour is a number or unknown
    UNKNOWN = "unknown"  #: goes


def fold(text: str) -> str:
    """Fold case and accents: Schädel, SCHÄDEL and schadel are one."""
    if text.isascii():
        return text.casefold()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


@lru_cache(maxsize=1 << 14)
def standing(word: str) -> Standing:
    """Tell what a word is, in whatever case it comes."""
    folded = fold(word)
    if folded in _words("also_names.txt"):
        return Standing.ALSO_NAME
    if folded in _words("vocabulary.txt") or _MEASURE.fullmatch(folded):
        return Standing.SAFE
    return Standing.NUMBER if _NUMBER.fullmatch(folded) else Standing.UNKNOWN


@cache
def _words(name: str) -> frozenset[str]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
