"""Clean Descriptors (PS3.15 E.3.5): of a free text only words that are known to be safe stay.

The vocabulary and each word's standing are the profile's (docs/profiles.md tells the rules). What
the instance's own identifiers contain goes in any case, also where it is an ordinary word.
"""

from __future__ import annotations

from functools import lru_cache

from node.profile.vocabulary import WORD, Standing, fold, standing

_LONGEST_SEPARATOR = 3
_DESCRIPTION = 256  # characters of a text that may come again


def safe_text(text: str, identifying: frozenset[str]) -> str:
    """Give what may stay of a text, value by value; "" if nothing may.

    `identifying` holds the folded words of the instance's identifiers.
    """
    parts = [
        _safe_part(part, identifying)
        if len(part) > _DESCRIPTION
        else _safe_description(part, identifying)
        for part in text.split("\\")
    ]
    return "\\".join(parts) if any(parts) else ""


@lru_cache(maxsize=4096)
def _safe_description(text: str, identifying: frozenset[str]) -> str:
    """Clean what a series says in each of its instances."""
    return _safe_part(text, identifying)


def _safe_part(text: str, identifying: frozenset[str]) -> str:
    words = list(WORD.finditer(text))
    standings = [
        Standing.UNKNOWN if fold(word[0]) in identifying else standing(word[0]) for word in words
    ]
    stays = [_stays(standings, at) for at in range(len(words))]
    kept = ""
    last = -1
    for at, word in enumerate(words):
        if not stays[at]:
            continue
        if kept:
            between = text[words[at - 1].end() : word.start()] if last == at - 1 else " "
            kept += between if _is_plain(between) else " "
        kept += word[0]
        last = at
    return kept


def _stays(standings: list[Standing], at: int) -> bool:
    match standings[at]:
        case Standing.SAFE:
            return True
        case Standing.UNKNOWN:
            return False
        case Standing.ALSO_NAME:
            return Standing.UNKNOWN not in _neighbours(standings, at)
        case Standing.NUMBER:
            return {Standing.UNKNOWN, Standing.NUMBER}.isdisjoint(_neighbours(standings, at))


def _neighbours(standings: list[Standing], at: int) -> list[Standing]:
    return [*standings[max(at - 1, 0) : at], *standings[at + 1 : at + 2]]


def _is_plain(separator: str) -> bool:
    return len(separator) <= _LONGEST_SEPARATOR and separator.isascii() and separator.isprintable()
