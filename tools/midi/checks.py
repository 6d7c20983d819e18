"""The pass rules: what an answer of the key asks of the released instance.

As MIDI-B: a missing attribute passes what asks for removal or change, and fails what asks for
presence. Stricter than MIDI-B: words are compared as whole words and not as parts of others, a kept
text must be there whole, a shifted date must lie exactly its patient's days away, and UIDs must map
one to one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

#: Where an attribute lies: tags, and between them the numbers of items.
Place = tuple[int, ...]
_WORD = re.compile(r"[^\W_]+")
_DATE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")


class Action(StrEnum):
    """MIDI-B's actions, but pixels_hidden (we do not read pixels)."""

    TAG_RETAINED = "tag_retained"
    TEXT_NOTNULL = "text_notnull"
    TEXT_RETAINED = "text_retained"
    TEXT_REMOVED = "text_removed"
    DATE_SHIFTED = "date_shifted"
    UID_CHANGED = "uid_changed"
    UID_CONSISTENT = "uid_consistent"
    PATID_CONSISTENT = "patid_consistent"
    PIXELS_RETAINED = "pixels_retained"


#: These ask for presence: an attribute that is missing in the output fails them ...
NEED_THE_ATTRIBUTE = frozenset({
    Action.TAG_RETAINED, Action.TEXT_NOTNULL, Action.TEXT_RETAINED, Action.PIXELS_RETAINED,
})  # fmt: skip
#: ... and so does an instance that is missing, here also.
NEED_THE_INSTANCE = NEED_THE_ATTRIBUTE | {Action.UID_CONSISTENT, Action.PATID_CONSISTENT}


@dataclass(frozen=True, slots=True)
class Check:
    """One answer of the key: what is asked of the attribute at a path, and whose rule asks it."""

    action: Action
    path: Place
    value: str
    category: str
    patient: str = ""


@dataclass(slots=True)
class Ledger:
    """What was seen so far: each original's stand-in, and back; each patient's days."""

    uids: dict[str, str] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)
    days: dict[str, int] = field(default_factory=dict)

    def consistent(self, table: dict[str, str], old: str, new: str) -> bool:
        """Tell whether an original has one stand-in, and the stand-in one original."""
        return table.setdefault(old, new) == new and self.taken.setdefault(new, old) == old


def value_at(dataset: Dataset, path: Place) -> str | None:
    """Give the text of an attribute, or None if it is not there."""
    for tag, item in zip(path[:-1:2], path[1:-1:2], strict=True):
        if tag not in dataset or item >= len(dataset[tag].value or ()):
            return None
        dataset = dataset[tag].value[item]
    if path[-1] not in dataset:
        return None
    value = dataset[path[-1]].value
    if isinstance(value, MultiValue):
        return "\\".join(str(part) for part in value)
    if isinstance(value, bytes):
        return value.hex()
    return "" if value is None else str(value).strip()


def passes(check: Check, output: Dataset | None, ledger: Ledger) -> bool:
    """Tell whether the released instance (None: it is missing) answers as the key asks."""
    if output is None:
        return check.action not in NEED_THE_INSTANCE
    value = value_at(output, check.path)
    if value is None:
        return check.action not in NEED_THE_ATTRIBUTE
    return _RULES[check.action](check, value, ledger)


def _same_text(check: Check, value: str, _: Ledger) -> bool:
    try:
        return _numbers(check.value) == _numbers(value)
    except ValueError:
        words = {word.casefold() for word in _WORD.findall(value)}
        return all(word.casefold() in words for word in _WORD.findall(check.value))


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split("\\")]


def _no_word_of(check: Check, value: str, _: Ledger) -> bool:
    words = {word.casefold() for word in _WORD.findall(value)}
    return words.isdisjoint(word.casefold() for word in _WORD.findall(check.value) if len(word) > 1)


def _shifted(check: Check, value: str, ledger: Ledger) -> bool:
    before, after = _days(check.value), _days(value)
    if not before or not after:
        return check.value not in value
    moved = {then - now for then, now in zip(before, after, strict=False)}
    if len(before) != len(after) or len(moved) != 1:
        return False
    days = moved.pop()
    return days != 0 and ledger.days.setdefault(check.patient, days) == days


def _days(text: str) -> list[int]:
    """Give the day numbers of dates and date times; what is no date has none."""
    found = []
    for match in filter(None, map(_DATE.match, text.split("\\"))):
        with suppress(ValueError):
            found.append(date(*map(int, match.groups())).toordinal())
    return found


_RULES: dict[Action, Callable[[Check, str, Ledger], bool]] = {
    Action.TAG_RETAINED: lambda _check, _value, _ledger: True,
    Action.TEXT_NOTNULL: lambda _check, value, _ledger: bool(value),
    Action.TEXT_RETAINED: _same_text,
    Action.TEXT_REMOVED: _no_word_of,
    Action.DATE_SHIFTED: _shifted,
    Action.UID_CHANGED: lambda check, value, _: check.value not in value.split("\\"),
    Action.UID_CONSISTENT: lambda check, value, seen: seen.consistent(
        seen.uids, check.value, value
    ),
    Action.PATID_CONSISTENT: lambda check, value, seen: seen.consistent(
        seen.patients, check.value, value
    ),
    Action.PIXELS_RETAINED: lambda check, value, _: check.value == value,
}


@dataclass(slots=True)
class Score:
    """Checks passed and failed in a category."""

    passed: int = 0
    failed: list[Check] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All checks of the category."""
        return self.passed + len(self.failed)


def score(
    key: Iterable[tuple[str, Iterable[Check]]], outputs: Mapping[str, Dataset]
) -> dict[str, Score]:
    """Score a key (per instance a name and its checks) by category."""
    scores: dict[str, Score] = {}
    ledger = Ledger()
    for name, checks in key:
        for check in checks:
            found = scores.setdefault(check.category, Score())
            if passes(check, outputs.get(name), ledger):
                found.passed += 1
            else:
                found.failed.append(check)
    return dict(sorted(scores.items()))
