"""Is what is shown what is there? Counts at every tick, one study's rows and files at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from node.inbox.tables import COUNTS, instance, study, total
from node.inbox.verify import counted_rows
from node.process.workplace import Workplace, log

_TOTALS = select(total)


@dataclass(slots=True)
class Audit:
    """Where the round over all studies has come, and what was told already."""

    last: str = ""
    told: set[str] = field(default_factory=set)


def check_totals(place: Workplace, audit: Audit) -> bool:
    """Check that all that was received is somewhere; alarm once if it is not."""
    with place.index.connect() as conn:
        rows = conn.execute(_TOTALS).mappings().all()
    sums = {name: sum(row[name] for row in rows) for name in COUNTS}
    balanced = (
        sums["received"] == sum(sums.values()) - sums["received"]
        and min((value for row in rows for value in (row[name] for name in COUNTS)), default=0) >= 0
    )
    return _tell(audit, "", balanced, **sums)


def check_next_study(place: Workplace, audit: Audit) -> bool:
    """Check the next study of the round: its counts are its rows, its originals are there."""
    with place.index.connect() as conn:
        row = conn.execute(
            select(study).where(study.c.id > audit.last).order_by(study.c.id).limit(1)
        ).one_or_none()
        if row is None:
            audit.last = ""
            return True
        audit.last = row.id
        counted = counted_rows(conn, instance.c.study == row.id)
        kept = conn.execute(
            select(func.count()).where(instance.c.study == row.id, ~instance.c.purged)
        ).scalar_one()
    nothing = dict.fromkeys(COUNTS, 0)
    shown = {name: row._mapping[name] for name in COUNTS}  # noqa: SLF001 -- SQLAlchemy's public name
    folder = place.inbox.studies / row.id
    files = sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0
    return _tell(
        audit,
        row.id,
        shown == counted.get(row.id, nothing) and files == kept,
        files=files,
        rows=kept,
    )


def _tell(audit: Audit, which: str, sound: bool, **facts: Any) -> bool:
    if sound:
        audit.told.discard(which)
    elif which not in audit.told:
        audit.told.add(which)
        log.error("conservation_broken", study=which, **facts)
    return sound
