"""The instance's own identifiers, so that no text which is kept repeats one of them.

PS3.15 E.3.5 asks it of cleaned text; we ask it of every text that stays: a Code Meaning with a
name in it, an ID in a station's software version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeVar

from node.deid.charset import decode_leniently
from node.profile.vocabulary import WORD, Standing, fold, standing

#: Attributes whose values name the patient, those around, the place or the order.
PERSONS = frozenset({
    0x00100010, 0x00101001, 0x00101005, 0x00101060, 0x00080090, 0x0008009C, 0x00081048, 0x00081050,
    0x00081060, 0x00081070, 0x00102297, 0x00321032, 0x00400006, 0x0040A075, 0x0040A123, 0x00700084,
    0x00400244, 0x00401010, 0x00402008, 0x00404037, 0x40080114, 0x300E0008,
})  # fmt: skip
NUMBERS = frozenset({
    0x00100020, 0x00101000, 0x00100021, 0x00101090, 0x00080050, 0x00200010, 0x00380010, 0x00380060,
    0x00321001, 0x00401001, 0x00402016, 0x00402017, 0x00101040, 0x00102154, 0x00080081, 0x00080092,
    0x00080094, 0x00181000, 0x00181002, 0x00081010, 0x00080080, 0x00081040, 0x00380300, 0x00380500,
    0x00321033, 0x00102299, 0x00120040, 0x00120042,
})  # fmt: skip
DATES = frozenset({0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x00080012, 0x00100030})
UIDS = frozenset({0x0020000D, 0x0020000E, 0x00200052})
ALL = PERSONS | NUMBERS | DATES | UIDS

_ANY, _PARTS = re.compile(rb"[\\^= \0]"), re.compile(rb"[\\\0]")
_Text = TypeVar("_Text", str, bytes)
_SHORT, _LONG, _REMEMBERED = 1024, 16_384, 32  # bytes of pieces worth remembering; of pieces
_SHORTEST_TOKEN = 4
_SHORTEST_NUMBER = 6
_SHORTEST_WORD = 2


@dataclass(frozen=True, slots=True, repr=False)
class Identifiers:
    """Folded: whole texts and names to look for anywhere, and words that no cleaned text keeps.

    `raw` are the tokens as bytes of the source, in small letters where they are ASCII. `clear` are
    pieces of output that repeat none of them, whichever of the series' instances they stand in.
    """

    tokens: tuple[str, ...]
    raw: tuple[bytes, ...]
    words: frozenset[str]
    clear: set[bytes] = field(default_factory=set, compare=False)
    own_uid: bytes = b""

    @property
    def longest(self) -> int:
        """How many bytes the longest has."""
        return max(map(len, (*self.raw, self.own_uid)))

    def and_uid(self, uid: bytes) -> Identifiers:
        """Add the instance's own UID, which no other instance shares."""
        if any(token in uid for token in self.raw):
            return self  # as where it begins with the Study Instance UID
        return replace(self, own_uid=uid)

    def stand_in(self, pieces: list[bytes]) -> bool:
        """Tell whether one of them stands in any of these pieces of output."""
        fresh = [piece for piece in pieces if piece not in self.clear]
        text = b"\0".join(fresh).lower()  # no token holds a NUL
        for token in self.raw:
            if token in text:
                return True
        if len(self.clear) > _REMEMBERED:
            self.clear.clear()
        self.clear.update([piece for piece in fresh if _SHORT < len(piece) < _LONG])
        return bool(self.own_uid) and any(self.own_uid in piece for piece in pieces)

    def occur_in(self, text: str) -> bool:
        """Tell whether a text repeats one of them."""
        folded = fold(text)
        for token in self.tokens:
            if token in folded:
                return True
        return bool(self.own_uid) and self.own_uid.decode("latin-1") in folded


@lru_cache(maxsize=512)
def identifiers(values: tuple[tuple[int, bytes], ...], encoding: str) -> Identifiers:
    """Gather the identifiers of an instance from values of attributes in `ALL`.

    They are the same throughout a series, so they are gathered once for it.
    """
    tokens: set[str] = set()
    words: set[str] = set()
    raw: set[bytes] = set()
    for tag, value in values:
        for part in decode_leniently(value, encoding).split("\\"):
            text = fold(part.strip(" \0"))
            pieces = [text]
            if tag in PERSONS:
                pieces += text.replace("=", "^").replace(" ", "^").split("^")
            tokens.update(piece for piece in pieces if _is_token(piece))
            if tag in PERSONS | NUMBERS:
                words.update(word for word in WORD.findall(text) if len(word) >= _SHORTEST_WORD)
        for raw_piece in (_ANY if tag in PERSONS else _PARTS).split(value.lower()):
            piece = raw_piece.strip(b" \0")
            if _is_token(decode_leniently(piece, encoding)):
                raw.add(piece)
    return Identifiers(_shortest(tokens), _shortest(raw), frozenset(words))


def _shortest(tokens: set[_Text]) -> tuple[_Text, ...]:
    """Leave out a token that holds another: where it occurs, the other does."""
    kept: list[_Text] = []
    for token in sorted(tokens, key=len):
        if not any(map(token.__contains__, kept)):
            kept.append(token)
    return tuple(sorted(kept))


def _is_token(piece: str) -> bool:
    """Tell whether to look for a text: not for a common word, as of a patient named Chest."""
    if len(piece) < (_SHORTEST_NUMBER if piece.isdigit() else _SHORTEST_TOKEN):
        return False
    return standing(piece) is Standing.UNKNOWN
