"""Instances without an outcome become rows of jobs, which wait for a worker."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import insert, select

from node.inbox.states import InstanceState
from node.inbox.tables import instance, job, study
from node.process.chunks import Waiting, cut
from node.process.workplace import Transaction, Workplace


def has_jobs() -> Any:
    """Say, as a condition on `study`: a job of it waits for a worker, or is with one."""
    return select(job.c.id).where(job.c.study == study.c.id).exists()


def queue_jobs(
    place: Workplace, transaction: Transaction, study_id: str, number: int, waiting: list[Waiting]
) -> None:
    """Cut instances into jobs of a generation."""
    options = place.config.process
    chunks = cut(waiting, options.chunk_instances, options.max_attempts, place.slots)
    rows = [
        {
            "study": study_id,
            "generation": number,
            "state": "QUEUED",
            "instances": json.dumps(chunk.instances),
            "bytes": chunk.bytes,
            "largest": chunk.largest,
        }
        for chunk in chunks
    ]
    if rows:
        transaction.conn.execute(insert(job), rows)


def waiting_instances(transaction: Transaction, *conditions: Any) -> list[Waiting]:
    """List the instances without an outcome that nothing holds up."""
    query = select(instance.c.id, instance.c.bytes, instance.c.attempts).where(
        instance.c.state == InstanceState.RECEIVED, instance.c.waits_for.is_(None), *conditions
    )
    return [Waiting(*row) for row in transaction.conn.execute(query.order_by(instance.c.id))]
