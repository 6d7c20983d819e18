"""How many there are: of instances, of studies, of workers."""

from __future__ import annotations

from sqlalchemy import Connection, case, func, select

from node.inbox.index import get_meta
from node.inbox.states import StudyState
from node.inbox.tables import COUNTS
from node.inbox.tables import job as job_table
from node.inbox.tables import total as total_table


def workers(conn: Connection, process_alive: bool = True) -> dict[str, int]:
    """Count workers and jobs: `{totalWorkers, activeJobs, queuedJobs}`.

    Small jobs share a worker, which is at one of them at a time: the others are queued still.
    There are never more workers than there is work for. When `process` is dead (its lock is free)
    its workers died with it and their jobs wait again.
    """
    state, run = job_table.c.state, func.coalesce(job_table.c.run, job_table.c.id)
    counts = select(
        func.count(),
        func.count(case((state == "QUEUED", 1))),
        func.count(case((state == "ACTIVE", run)).distinct()),
    )
    jobs, waiting, at_work = conn.execute(counts.select_from(job_table)).one()
    if not process_alive:
        return {"totalWorkers": 0, "activeJobs": 0, "queuedJobs": jobs}
    slots = int(get_meta(conn, "slots") or 0)
    return {
        "totalWorkers": min(slots, at_work + waiting),
        "activeJobs": at_work,
        "queuedJobs": jobs - at_work,
    }


def conservation(conn: Connection, arrived_count: int) -> dict[str, int]:
    """Count what became of all instances; `received` is the sum of the other seven.

    `arrived_count` is how many files lie in `arrived/`, durable but without a row.
    """
    sums = dict.fromkeys(COUNTS, 0)
    held = 0
    for row in conn.execute(select(total_table)).mappings():
        for name in COUNTS:
            sums[name] += row[name]
        if row["state"] == StudyState.HELD:
            held = row["waiting"] + row["deidentified"]
    return {
        "received": sums["received"] + arrived_count,
        "released": sums["released"],
        "held": held,
        "quarantined": sums["quarantined"],
        "duplicate": sums["duplicate"],
        "excluded": sums["excluded"],
        "rejected": sums["rejected"],
        "pending": sums["waiting"] + sums["deidentified"] - held + arrived_count,
    }


def study_counts(conn: Connection) -> dict[str, int]:
    """Count the studies in each state."""
    rows = conn.execute(select(total_table.c.state, total_table.c.studies))
    counted = {row[0]: row[1] for row in rows}
    return {state.value: counted.get(state.value, 0) for state in StudyState}
