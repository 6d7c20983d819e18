"""Sums over the rows for metrics: what was found, how long it took, how much it was."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, case, func, select

from node.inbox.states import StudyState
from node.inbox.tables import finding, generation, instance, study, total
from node.outbox.tables import delivery

#: Upper bounds in seconds of the histogram of a generation's time from its beginning to release.
BUCKETS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0)


def findings_by_check(conn: Connection) -> list[tuple[str, str, int]]:
    """Count the findings of held studies by check and severity; nobody has decided these yet."""
    query = (
        select(finding.c.check, finding.c.severity, func.count())
        .join(study, study.c.id == finding.c.study)
        .where(study.c.state == StudyState.HELD)
        .group_by(finding.c.check, finding.c.severity)
    )
    return [(check, severity, count) for check, severity, count in conn.execute(query)]


def released_in_quarantine(conn: Connection) -> int:
    """Count the released studies of which instances lie in quarantine still."""
    if not conn.execute(
        select(total.c.quarantined).where(total.c.state == StudyState.RELEASED)
    ).scalar():
        return 0  # as a rule, and then no study is looked at
    left = (study.c.state == StudyState.RELEASED) & (study.c.quarantined > 0)
    return int(conn.execute(select(func.count()).select_from(study).where(left)).scalar_one())


def received_bytes(conn: Connection) -> int:
    """Sum the bytes of all instances that were received."""
    return int(conn.execute(select(func.sum(instance.c.bytes))).scalar() or 0)


def release_seconds(conn: Connection) -> tuple[Sequence[int], float]:
    """Give how many generations were released within each of BUCKETS and in all, and the sum."""
    took = generation.c.released_at - generation.c.begun_at
    within = [func.sum(case((took <= bound, 1), else_=0)) for bound in BUCKETS]
    query = select(*within, func.count(), func.sum(took)).where(
        generation.c.released_at.is_not(None)
    )
    *counts, seconds = conn.execute(query).one()
    return [int(count or 0) for count in counts], float(seconds or 0)


def deliveries_by_state(conn: Connection) -> list[tuple[str, str, int]]:
    """Count deliveries by destination and state."""
    query = select(delivery.c.destination, delivery.c.state, func.count()).group_by(
        delivery.c.destination, delivery.c.state
    )
    return [(to, state, count) for to, state, count in conn.execute(query)]
