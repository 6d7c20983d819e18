"""What is done now and then: the clock is recorded, times are kept, the counts are checked."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from node.process.audit import Audit, check_next_study
from node.process.clock import save_anchor
from node.process.retention import keep_times
from node.process.workplace import Workplace

CLOCK_SECONDS = 30.0
RETENTION_SECONDS = 60.0
AUDIT_SECONDS = 2.0


@dataclass(slots=True)
class Housekeeping:
    """When each thing was done last, in monotonic seconds."""

    clock: float = 0.0
    retention: float = 0.0
    audited: float = 0.0
    audit: Audit = field(default_factory=Audit)


def keep_house(place: Workplace, last: Housekeeping) -> None:
    """Do what is due."""
    now = time.monotonic()
    if now - last.clock >= CLOCK_SECONDS:
        last.clock = now
        with place.transaction() as transaction:
            save_anchor(transaction.conn, place.clock)
    if now - last.retention >= RETENTION_SECONDS:
        last.retention = now
        keep_times(place)
    if now - last.audited >= AUDIT_SECONDS:
        last.audited = now
        check_next_study(place, last.audit)
