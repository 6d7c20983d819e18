"""When to try again: doubling from the first delay to the longest, each a little off the beat."""

from __future__ import annotations

import random

from node.outbox.destinations import DestinationRow

JITTER = 0.2


def next_delay(failures: int, first: float, longest: float) -> float:
    """Give the seconds to wait after so many failures in a row (1 or more).

    The jitter of ±20 % keeps many destinations, or many nodes, from knocking in step.
    """
    doubled = first * 2.0 ** min(failures - 1, 60)
    return min(doubled, longest) * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 -- no secret


def horizon(longest: float) -> float:
    """Give the longest delay that next_delay can give."""
    return longest * (1 + JITTER)


def is_closed(row: DestinationRow, now: float, longest: float) -> bool:
    """Tell whether nothing may go to a destination now: it is paused, or in its back-off.

    One that would last longer than any was written before the clock was set back.
    """
    gate = row.next_attempt_at
    return row.paused or (gate is not None and now < gate <= now + horizon(longest))
