"""What a worker that is ahead is given: jobs for generations that have not begun yet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, insert, select

from node.inbox.index import AnyRow
from node.inbox.states import InstanceState, StudyState
from node.inbox.tables import instance, job, study
from node.process.choosing import CannotBegin, Choice, choose
from node.process.chunks import Chunk
from node.process.jobs import Given
from node.process.messages import AHEAD
from node.process.numbering import next_generation
from node.process.patients import Consent
from node.process.workplace import Transaction, Workplace

_STUDIES = select(study).where(study.c.id.in_(bindparam("studies", expanding=True)))
_UNTOUCHED = select(instance.c.id).where(
    instance.c.id.in_(bindparam("names", expanding=True)),
    instance.c.state == InstanceState.RECEIVED,
    instance.c.attempts == 0,
)
_QUEUE = insert(job).returning(job.c.id)


@dataclass(frozen=True, slots=True)
class Plan:
    """For which generation, and by which recipe, something is made."""

    study: str
    number: int
    recipe_digest: str


def plan_jobs(
    place: Workplace, transaction: Transaction, chosen: Sequence[tuple[str, Chunk]]
) -> dict[Given, Plan]:
    """Write rows of jobs, but of studies that may not be worked at yet, or not any more."""
    conn = transaction.conn
    rows = conn.execute(_STUDIES, {"studies": [study_id for study_id, _ in chosen]})
    studies = {row.id: row for row in rows}
    offered = [name for _, chunk in chosen for name in chunk.instances]
    untouched = set(conn.execute(_UNTOUCHED, {"names": offered}).scalars())
    plans: dict[Given, Plan] = {}
    for study_id, chunk in chosen:
        names = tuple(name for name in chunk.instances if name in untouched)
        choice = _choice(place, transaction, studies[study_id]) if names else None
        if choice is None:
            continue
        values = {
            "study": study_id, "generation": AHEAD, "state": "QUEUED",
            "instances": json.dumps(names), "bytes": chunk.bytes, "largest": chunk.largest,
        }  # fmt: skip
        job_id = conn.execute(_QUEUE, values).scalar_one()
        number = next_generation(place, transaction, study_id)
        given = Given(job_id, study_id, number, choice.route.name, names, chunk.largest)
        plans[given] = Plan(study_id, number, choice.recipe_digest)
    return plans


def _choice(place: Workplace, transaction: Transaction, row: AnyRow) -> Choice | None:
    """Choose how a study is treated, if it still receives and could be released as it is now."""
    if row.state != StudyState.RECEIVING:
        return None
    try:
        choice = choose(place, transaction, row)
    except CannotBegin:
        return None
    return choice if choice.consent is Consent.ALLOWED else None
