"""QUEUED -> ACTIVE: which job runs next, and what is written down before it starts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import case, delete, func, select, update

from node.inbox.index import AnyRow
from node.inbox.originals import original
from node.inbox.states import InstanceState
from node.inbox.tables import instance, job, study
from node.pool import Limits, Pool, PoolBroken
from node.process.messages import Deidentify, FileReference
from node.process.staging import staged_file, staging_folder
from node.process.worker import treat
from node.process.workplace import Transaction, Workplace

#: What a job may use beside what it was started with, and per byte of its largest file.
MEMORY_BYTES = 768 * 1024 * 1024
MEMORY_PER_BYTE = 6
#: Files of running jobs may sum up to this; a larger one runs alone.
BYTES_AT_ONCE = 512 * 1024 * 1024


def start_jobs(place: Workplace, pool: Pool) -> int:
    """Start jobs while there are free slots, and return how many were started.

    Raises
    ------
    PoolBroken
        If a process could not be started; its job is queued again.
    """
    started = 0
    while pool.free:
        with place.transaction() as transaction:
            row = _next_job(transaction)
            if row is None or not fits(transaction, row.largest):
                return started
            message = activate(place, transaction, row, row.generation, row.route)
        try:
            launch(place, pool, message, row.largest)
        except PoolBroken:
            with place.transaction() as transaction:
                again = update(job).where(job.c.id == row.id).values(state="QUEUED")
                transaction.conn.execute(again)
                uncount_attempt(transaction, json.loads(row.instances))
            raise
        started += 1
    return started


def launch(
    place: Workplace, pool: Pool, message: Deidentify, largest: int, *, spare_time: bool = False
) -> None:
    """Give an activated job to a worker; PoolBroken if none could be started."""
    memory, timeout = MEMORY_BYTES + MEMORY_PER_BYTE * largest, _timeout(place)
    pool.start(message.job, treat, message, timeout, Limits(memory, int(timeout) + 1, spare_time))


def _next_job(transaction: Transaction) -> AnyRow | None:
    """Choose the oldest job of the study that has the fewest with a worker, the older study first.

    So a small study that comes while a large one is at work gets the next free slot.
    """
    columns = job.c
    active = func.sum(case((columns.state == "ACTIVE", 1), else_=0))
    first = func.min(case((columns.state == "QUEUED", columns.id)))
    query = select(first).group_by(columns.study).having(first.is_not(None)).order_by(active, first)
    chosen = transaction.conn.execute(query.limit(1)).scalar()
    if chosen is None:
        return None
    query_ = select(job, study.c.route).join(study, study.c.id == columns.study)
    return transaction.conn.execute(query_.where(columns.id == chosen)).one()


def fits(transaction: Transaction, largest: int) -> bool:
    """Tell whether the job may run beside those that do; what does not fit waits and comes next."""
    running = transaction.conn.execute(
        select(func.count(), func.coalesce(func.sum(job.c.largest), 0)).where(
            job.c.state == "ACTIVE"
        )
    ).one()
    count, size = running
    return bool(count == 0 or size + largest <= BYTES_AT_ONCE)


def activate(
    place: Workplace, transaction: Transaction, row: AnyRow, number: int, route: str
) -> Deidentify:
    """Count the attempt, before the worker can take anything down with it."""
    names: list[str] = json.loads(row.instances)
    transaction.conn.execute(update(job).where(job.c.id == row.id).values(state="ACTIVE"))
    transaction.conn.execute(
        update(instance).where(instance.c.id.in_(names)).values(attempts=instance.c.attempts + 1)
    )
    transaction.log("job_started", job=row.id, study=row.study, instances=len(names))
    folder = staging_folder(place.outbox, row.study, number)
    folder.mkdir(mode=0o700, exist_ok=True)
    twins = _twins(place, transaction, row.study, names)
    files = tuple(
        FileReference(
            name,
            original(place.inbox, row.study, name),
            staged_file(folder, name),
            twins.get(name),
        )
        for name in names
    )
    return Deidentify(row.id, place.recipes[route], files, place.wishes(route))


def _twins(
    place: Workplace, transaction: Transaction, study_id: str, names: Sequence[str]
) -> dict[str, Path]:
    """Give the originals that came first under the SOP Instance UID of some instances."""
    first = instance.alias()
    query = (
        select(instance.c.id, first.c.id)
        .join(first, first.c.id == instance.c.conflict_with)
        .where(
            instance.c.id.in_(names),
            first.c.study == study_id,
            first.c.state.in_((InstanceState.RECEIVED, InstanceState.DEIDENTIFIED)),
        )
    )
    return {
        later: original(place.inbox, study_id, earlier)
        for later, earlier in transaction.conn.execute(query)
    }


def uncount_attempt(transaction: Transaction, names: Sequence[str]) -> None:
    """Take back a start for which the instances are not to blame."""
    transaction.conn.execute(
        update(instance).where(instance.c.id.in_(names)).values(attempts=instance.c.attempts - 1)
    )


def forget_job(transaction: Transaction, job_id: int) -> AnyRow | None:
    """Take a job's row away and return it; None if its study went another way meanwhile."""
    row = transaction.conn.execute(select(job).where(job.c.id == job_id)).one_or_none()
    transaction.conn.execute(delete(job).where(job.c.id == job_id))
    return row


def _timeout(place: Workplace) -> float:
    return place.config.process.job_timeout_seconds
