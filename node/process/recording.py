"""How a job ended becomes rows: its outcomes, or a death for its chunk."""

from __future__ import annotations

import json

from sqlalchemy import select

from node import observe
from node.inbox.index import AnyRow
from node.inbox.tables import instance
from node.pool import Ended
from node.process.jobs import forget_job
from node.process.messages import Done
from node.process.outcomes import Work, quarantine, record_outcomes
from node.process.queueing import queue_jobs, waiting_instances
from node.process.workplace import Transaction, Workplace

#: Beyond `max_attempts` and the halving of its chunk: an instance that took the whole role down
#: with it so often is not tried again.
MOST_STARTS = 24


def record(place: Workplace, ended: Ended) -> bool:
    """Write down how a job ended; tell whether the surroundings failed, so that waiting helps."""
    trouble = False
    with place.transaction() as transaction:
        row = forget_job(transaction, ended.token)
        if row is None:
            return False
        if isinstance(ended.reply, Done):
            trouble = record_outcomes(
                transaction, Work(row.study, row.generation), ended.reply.outcomes
            )
            transaction.log("job_finished", job=row.id, study=row.study)
        else:
            record_death(place, transaction, row, ended)
        _queue_again(place, transaction, row)
    return trouble


def record_death(place: Workplace, transaction: Transaction, row: AnyRow, ended: Ended) -> None:
    """Let a dead worker's chunk wait again, unless it was one instance that has had its tries."""
    names: list[str] = json.loads(row.instances)
    facts = observe.exception_facts(ended.error) if ended.error else {}
    transaction.tell(
        "worker_died", row.study, job=row.id, instances=len(names), death=ended.death, **facts
    )
    if len(names) > 1:
        return
    attempts = transaction.conn.execute(
        select(instance.c.attempts).where(instance.c.id == names[0])
    ).scalar_one()
    if attempts >= place.config.process.max_attempts:
        reason = f"its worker did not survive it: {ended.death}"
        quarantine(transaction, Work(row.study, row.generation), names[0], reason, **facts)


def _queue_again(place: Workplace, transaction: Transaction, row: AnyRow) -> None:
    """Queue what the job was given and has no outcome yet."""
    names = json.loads(row.instances)
    again = waiting_instances(
        transaction, instance.c.id.in_(names), instance.c.generation == row.generation
    )
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
