"""A step that many studies take in one transaction; what goes wrong with one stops no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy.exc import OperationalError

from node import observe
from node.inbox.index import AnyRow
from node.process.workplace import Transaction, Workplace, log

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Taken:
    """How many studies took a step, and how many are to try it again."""

    done: int
    failed: int


@dataclass(slots=True)
class Postponed:
    """The studies that the surroundings kept from a step: each waits before it is tried again."""

    seconds: float
    _until: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._until)

    def put(self, rows: Sequence[AnyRow]) -> None:
        """Let these wait from now on."""
        self._until |= dict.fromkeys((row.id for row in rows), time.monotonic() + self.seconds)

    def leave_out(self, rows: Sequence[AnyRow]) -> list[AnyRow]:
        """Give those that need not wait."""
        now = time.monotonic()
        self._until = {study: until for study, until in self._until.items() if until > now}
        return [row for row in rows if row.id not in self._until]


def take_together(
    place: Workplace,
    rows: Sequence[AnyRow],
    step: Callable[[Transaction, AnyRow], T],
    amiss: Callable[[Transaction, AnyRow, Exception], bool],
) -> tuple[list[tuple[AnyRow, T]], list[AnyRow]]:
    """Take a step with each study: give what came of it, and those that are to try it again.

    Those are the ones that the surroundings kept from it. For any other error `amiss` is asked; it
    deals with the study, or has it tried again, too.
    """
    if not rows:
        return [], []
    results: list[tuple[AnyRow, T]] = []
    failed: list[AnyRow] = []
    begun = False
    try:
        with place.transaction() as transaction:
            begun = True
            for row in rows:
                try:
                    with transaction.part():
                        result = step(transaction, row)
                    results.append((row, result))
                except (OSError, OperationalError) as error:  # a full disk, say
                    log.error("storage_failed", study=row.id, **observe.exception_facts(error))
                    failed.append(row)
                except Exception as error:  # noqa: BLE001 -- a person must see what nobody foresaw
                    if amiss(transaction, row, error):
                        failed.append(row)
    except OperationalError as error:  # none of it is written
        if begun and len(rows) > 1:  # for one of them, perhaps, too large for what is free
            return _take_apart(place, rows, step, amiss)
        log.error("storage_failed", **observe.exception_facts(error))
        return [], list(rows)
    return results, failed


def _take_apart(
    place: Workplace,
    rows: Sequence[AnyRow],
    step: Callable[[Transaction, AnyRow], T],
    amiss: Callable[[Transaction, AnyRow, Exception], bool],
) -> tuple[list[tuple[AnyRow, T]], list[AnyRow]]:
    """Take a step with each study in a transaction of its own."""
    results: list[tuple[AnyRow, T]] = []
    failed: list[AnyRow] = []
    for row in rows:
        result, again = take_together(place, [row], step, amiss)
        results += result
        failed += again
    return results, failed
