"""How workers ended becomes rows: the outcomes of their jobs, or a death for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import bindparam, select
from sqlalchemy.exc import OperationalError

from node import observe
from node.inbox.index import AnyRow
from node.inbox.tables import instance
from node.pool import Ended
from node.process.jobs import forget_run
from node.process.messages import Done
from node.process.outcomes import Work, quarantine, record_outcomes
from node.process.queueing import queue_jobs, waiting_instances
from node.process.workplace import Transaction, Workplace

#: Beyond `max_attempts` and the halving of its chunk: an instance that took the whole role down
#: with it so often is not tried again.
MOST_STARTS = 24
_ATTEMPTS = select(instance.c.attempts).where(instance.c.id == bindparam("name"))


def record(place: Workplace, ended: Sequence[Ended]) -> bool:
    """Write down how workers ended; tell whether the surroundings failed, so that waiting helps."""
    with place.transaction() as transaction:
        runs = [(one, row) for one in ended for row in forget_run(transaction, one.token)]
        trouble = [_record_safely(place, transaction, row, one) for one, row in runs]
    return any(trouble)


def reply_of(ended: Ended, job: int) -> Done | None:
    """Give what a worker answered to one of its jobs; None if it died, or could not begin."""
    return next((done for done in ended.reply or () if done.job == job), None)


def _record_safely(place: Workplace, transaction: Transaction, row: AnyRow, ended: Ended) -> bool:
    """Record one job; where that fails, its worker might as well have died."""
    try:
        with transaction.part():
            return _record(place, transaction, row, ended)
    except (OSError, OperationalError):
        raise  # the surroundings failed: the next run does these jobs again
    except Exception as error:  # noqa: BLE001 -- one study must not stop the others
        transaction.tell("role_failed", row.study, **observe.exception_facts(error))
        died = replace(ended, reply=None, death="its outcomes cannot be recorded", error=error)
        return _record(place, transaction, row, died)


def _record(place: Workplace, transaction: Transaction, row: AnyRow, ended: Ended) -> bool:
    done, trouble = reply_of(ended, row.id), False
    if done is None:
        record_death(place, transaction, row, ended)
    else:
        trouble = record_outcomes(transaction, Work(row.study, row.generation), done.outcomes)
        transaction.log("job_finished", job=row.id, study=row.study)
    _queue_again(place, transaction, row)
    return trouble


def record_death(place: Workplace, transaction: Transaction, row: AnyRow, ended: Ended) -> None:
    """Let a dead worker's chunk wait again, unless it was one instance that has had its tries."""
    names: list[str] = json.loads(row.instances)
    facts = observe.exception_facts(ended.error) if ended.error else {}
    transaction.tell(
        "worker_died", row.study, job=row.id, instances=len(names),
        death=ended.death or "it could not begin", **facts,
    )  # fmt: skip
    if len(names) > 1 or row.shares:  # who of them is to blame, being alone will tell
        return
    attempts = transaction.conn.execute(_ATTEMPTS, {"name": names[0]}).scalar_one()
    if attempts >= place.config.process.max_attempts:
        reason = f"its worker did not survive it: {ended.death}"
        quarantine(transaction, Work(row.study, row.generation), names[0], reason, **facts)


def _queue_again(place: Workplace, transaction: Transaction, row: AnyRow) -> None:
    """Queue what the job was given and has no outcome yet."""
    names = json.loads(row.instances)
    again = waiting_instances(transaction, row.study, row.generation, among=names)
    worn = [one for one in again if one.attempts > MOST_STARTS]
    for one in worn:
        quarantine(
            transaction,
            Work(row.study, row.generation),
            one.instance,
            f"started {one.attempts} times in vain",
        )
    queue_jobs(
        place, transaction, row.study, row.generation, [one for one in again if one not in worn]
    )
