"""QUEUED -> ACTIVE: what is written down before a worker starts, and what it is given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import BindParameter, bindparam, delete, func, select, update

from node.inbox.index import AnyRow
from node.inbox.originals import original
from node.inbox.states import InstanceState
from node.inbox.tables import instance, job
from node.pool import Limits, Pool
from node.process.messages import Deidentify, FileReference
from node.process.staging import staged_file, staging_folder
from node.process.worker import treat_all
from node.process.workplace import Transaction, Workplace

#: What a worker may use beside what it was started with, and per byte of its largest file.
MEMORY_BYTES = 768 * 1024 * 1024
MEMORY_PER_BYTE = 6
#: The largest files of the workers may sum up to this; a larger one runs alone.
BYTES_AT_ONCE = 512 * 1024 * 1024
#: Jobs that share a worker have so long together, and no less than this for each instance; then
#: each is alone, with all its time. So an image that hangs holds the studies beside it no longer.
SHARED_SECONDS = 60.0
SHARED_SECONDS_EACH = 1.0
_LARGEST = (
    select(func.max(job.c.largest).label("bytes"))
    .where(job.c.state == "ACTIVE")
    .group_by(func.coalesce(job.c.run, job.c.id))
    .subquery()
)
_AT_WORK = select(func.count(), func.coalesce(func.sum(_LARGEST.c.bytes), 0)).select_from(_LARGEST)
_NAMES: BindParameter[str] = bindparam("names", expanding=True)
_ACTIVATE = (
    update(job)
    .where(job.c.id.in_(bindparam("jobs", expanding=True)))
    .values(state="ACTIVE", run=bindparam("number"), shares=bindparam("shared"))
)
_COUNT = update(instance).where(instance.c.id.in_(_NAMES)).values(attempts=instance.c.attempts + 1)
_UNCOUNT = (
    update(instance).where(instance.c.id.in_(_NAMES)).values(attempts=instance.c.attempts - 1)
)
_first = instance.alias()
_TWINS = (
    select(instance.c.id, instance.c.study, _first.c.id)
    .join(_first, _first.c.id == instance.c.conflict_with)
    .where(
        instance.c.id.in_(_NAMES),
        _first.c.study == instance.c.study,
        _first.c.state.in_((InstanceState.RECEIVED, InstanceState.DEIDENTIFIED)),
    )
)
_OF_RUN = select(job).where(job.c.run == bindparam("number")).order_by(job.c.id)
_FORGET = delete(job).where(job.c.run == bindparam("number"))


@dataclass(frozen=True, slots=True)
class Given:
    """A job as a worker is given it: for which generation of its study, by which route's recipe."""

    job: int
    study: str
    number: int
    route: str
    instances: tuple[str, ...]
    largest: int


@dataclass(frozen=True, slots=True)
class Run:
    """The jobs that share a worker; its number is that of the first."""

    jobs: tuple[Given, ...]

    @property
    def number(self) -> int:
        """The number that the pool knows it by."""
        return self.jobs[0].job

    @property
    def instances(self) -> tuple[str, ...]:
        """All instances of its jobs."""
        return tuple(name for one in self.jobs for name in one.instances)


def launch(
    place: Workplace,
    pool: Pool,
    run: Run,
    messages: tuple[Deidentify, ...],
    *,
    spare_time: bool = False,
) -> None:
    """Give activated jobs to a worker; PoolBroken if none could be started."""
    largest = max(one.largest for one in run.jobs)
    memory = MEMORY_BYTES + MEMORY_PER_BYTE * largest
    timeout = place.config.process.job_timeout_seconds
    if len(run.jobs) > 1 and not spare_time:
        together = max(SHARED_SECONDS, SHARED_SECONDS_EACH * len(run.instances))
        timeout = min(timeout, together)
    limits = Limits(memory, int(timeout) + 1, spare_time)
    pool.start(run.number, treat_all, messages, timeout, limits)


def room_beside(transaction: Transaction) -> float:
    """Give how large a file may be beside those that are worked at; no bound if there are none."""
    count, size = transaction.conn.execute(_AT_WORK).one()
    return BYTES_AT_ONCE - size if count else math.inf


def activate(place: Workplace, transaction: Transaction, run: Run) -> tuple[Deidentify, ...]:
    """Count the attempts, before the worker can take anything down with it."""
    conn, shared = transaction.conn, len(run.jobs) > 1
    numbers = [one.job for one in run.jobs]
    conn.execute(_ACTIVATE, {"jobs": numbers, "number": run.number, "shared": shared})
    conn.execute(_COUNT, {"names": run.instances})
    twins = _twins(place, transaction, run.instances)
    return tuple(_message(place, transaction, one, twins) for one in run.jobs)


def _message(
    place: Workplace, transaction: Transaction, given: Given, twins: dict[str, Path]
) -> Deidentify:
    folder = staging_folder(place.outbox, given.study, given.number)
    folder.mkdir(mode=0o700, exist_ok=True)
    files = tuple(
        FileReference(
            name,
            original(place.inbox, given.study, name),
            staged_file(folder, name),
            twins.get(name),
        )
        for name in given.instances
    )
    transaction.log("job_started", job=given.job, study=given.study, instances=len(files))
    return Deidentify(given.job, place.recipes[given.route], files, place.wishes(given.route))


def _twins(place: Workplace, transaction: Transaction, names: Sequence[str]) -> dict[str, Path]:
    """Give the originals that came first under the SOP Instance UID of some instances."""
    rows = transaction.conn.execute(_TWINS, {"names": names})
    return {later: original(place.inbox, study_id, earlier) for later, study_id, earlier in rows}


def uncount_attempt(transaction: Transaction, names: Sequence[str]) -> None:
    """Take back a start for which the instances are not to blame."""
    transaction.conn.execute(_UNCOUNT, {"names": names})


def forget_run(transaction: Transaction, number: int) -> Sequence[AnyRow]:
    """Take the rows of a run's jobs away and give them; none whose study went another way."""
    rows = transaction.conn.execute(_OF_RUN, {"number": number}).all()
    transaction.conn.execute(_FORGET, {"number": number})
    return rows
