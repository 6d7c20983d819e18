"""A step that many studies take in one transaction; what goes wrong with one stops no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


def take_together(
    place: Workplace,
    rows: Sequence[AnyRow],
    step: Callable[[Transaction, AnyRow], T],
    amiss: Callable[[Transaction, AnyRow, Exception], bool],
) -> tuple[list[tuple[AnyRow, T]], int]:
    """Take a step with each study: give what came of it, and how many are to try it again.

    Those are the ones that the surroundings kept from it. For any other error `amiss` is asked; it
    deals with the study, or has it tried again, too.
    """
    if not rows:
        return [], 0
    results: list[tuple[AnyRow, T]] = []
    failed = 0
    try:
        with place.transaction() as transaction:
            for row in rows:
                try:
                    with transaction.part():
                        result = step(transaction, row)
                    results.append((row, result))
                except (OSError, OperationalError) as error:  # a full disk, say
                    log.error("storage_failed", study=row.id, **observe.exception_facts(error))
                    failed += 1
                except Exception as error:  # noqa: BLE001 -- a person must see what nobody foresaw
                    failed += amiss(transaction, row, error)
    except OperationalError as error:  # none of it is written
        log.error("storage_failed", **observe.exception_facts(error))
        return [], len(rows)
    return results, failed
