"""Instances without an outcome become rows of jobs, which wait for a worker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select

from node.inbox.states import InstanceState
from node.inbox.tables import instance, job, study
from node.process.chunks import Waiting, cut
from node.process.workplace import Transaction, Workplace

_QUEUE = insert(job)
_WAITING = (
    select(instance.c.id, instance.c.bytes, instance.c.attempts)
    .where(
        instance.c.study == bindparam("study_id"),
        instance.c.generation == bindparam("number"),
        instance.c.state == InstanceState.RECEIVED,
        instance.c.waits_for.is_(None),
    )
    .order_by(instance.c.id)
)
_AMONG = _WAITING.where(instance.c.id.in_(bindparam("names", expanding=True)))


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
            "shares": not chunk.attempts,
        }
        for chunk in chunks
    ]
    if rows:
        transaction.conn.execute(_QUEUE, rows)


def waiting_instances(
    transaction: Transaction, study_id: str, number: int, among: Sequence[str] | None = None
) -> list[Waiting]:
    """List the instances of a generation without an outcome that nothing holds up."""
    which = {"study_id": study_id, "number": number}
    if among is None:
        rows = transaction.conn.execute(_WAITING, which)
    else:
        rows = transaction.conn.execute(_AMONG, {**which, "names": among})
    return [Waiting(*row) for row in rows]
