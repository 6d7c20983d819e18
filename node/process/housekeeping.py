"""What is done now and then: the clock is recorded, the counts are checked."""

from __future__ import annotations

import time
from dataclasses import dataclass

from node.process.clock import save_anchor
from node.process.workplace import Workplace

CLOCK_SECONDS = 30.0


@dataclass(slots=True)
class Housekeeping:
    """When each thing was done last, in monotonic seconds."""

    clock: float = 0.0


def keep_house(place: Workplace, last: Housekeeping) -> None:
    """Do what is due."""
    now = time.monotonic()
    if now - last.clock >= CLOCK_SECONDS:
        last.clock = now
        with place.transaction() as transaction:
            save_anchor(transaction.conn, place.clock)
