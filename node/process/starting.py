"""Which jobs run next: chosen in the order of their turn, and started while workers are idle."""

from __future__ import annotations

import json

from sqlalchemy import bindparam, case, func, select, update

from node.inbox.index import AnyRow
from node.inbox.tables import job, study
from node.pool import Pool, PoolBroken
from node.process.jobs import Given, Run, activate, launch, room_beside, uncount_attempt
from node.process.runs import Candidate, next_run
from node.process.workplace import Transaction, Workplace

#: So many studies are asked for a job that may share a worker.
MOST_STUDIES = 128

_ACTIVE = func.sum(case((job.c.state == "ACTIVE", 1), else_=0))
_FIRST = func.min(case((job.c.state == "QUEUED", job.c.id)))
_TURN = (
    select(_FIRST.label("job"), _ACTIVE.label("active"))
    .group_by(job.c.study)
    .having(_FIRST.is_not(None))
    .order_by(_ACTIVE, _FIRST)
    .limit(MOST_STUDIES)
    .subquery()
)
#: The oldest job of each study, of that first which has the fewest with a worker; the older first.
#: So a small study that comes while a large one is at work gets the next free slot.
_WAITING = (
    select(job, study.c.route)
    .join(_TURN, _TURN.c.job == job.c.id)
    .join(study, study.c.id == job.c.study)
    .order_by(_TURN.c.active, _TURN.c.job)
)
_QUEUE_AGAIN = update(job).where(job.c.run == bindparam("number")).values(state="QUEUED", run=None)


def start_jobs(place: Workplace, pool: Pool) -> int:
    """Start workers while there are free slots, and return how many were started.

    Raises
    ------
    PoolBroken
        If a process could not be started; its jobs are queued again.
    """
    started = 0
    while pool.free:
        with place.transaction() as transaction:
            rows = _next_run(place, transaction, pool)
            if not rows:
                return started
            run = Run(tuple(map(_given, rows)))
            messages = activate(place, transaction, run)
        try:
            launch(place, pool, run, messages)
        except PoolBroken:
            with place.transaction() as transaction:
                transaction.conn.execute(_QUEUE_AGAIN, {"number": run.number})
                uncount_attempt(transaction, run.instances)
            raise
        started += 1
    return started


def _next_run(place: Workplace, transaction: Transaction, pool: Pool) -> list[AnyRow]:
    waiting = transaction.conn.execute(_WAITING).all()
    if not waiting:
        return []
    candidates = [
        Candidate(row, len(json.loads(row.instances)), row.bytes, row.largest, row.shares)
        for row in waiting
    ]
    most = place.config.process.chunk_instances
    return next_run(candidates, pool.slots, pool.free, most, room_beside(transaction))


def _given(row: AnyRow) -> Given:
    names = tuple(json.loads(row.instances))
    return Given(row.id, row.study, row.generation, row.route, names, row.largest)
