"""What others read from the index, as frozen rows without PHI: status, web, the command line.

Every function takes a connection of `open_index(path, readonly=True)` and costs what is shown,
not what the index holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, case, func, select

from node.inbox.index import AnyRow, get_meta
from node.inbox.states import InstanceState, StudyState
from node.inbox.tables import COUNTS
from node.inbox.tables import decision as decision_table
from node.inbox.tables import event as event_table
from node.inbox.tables import finding as finding_table
from node.inbox.tables import generation as generation_table
from node.inbox.tables import instance as instance_table
from node.inbox.tables import job as job_table
from node.inbox.tables import study as study_table
from node.inbox.tables import total as total_table


@dataclass(frozen=True, slots=True)
class StudyRow:
    """A study: its state, its counts of instances, and the progress of its current generation.

    `waiting` and `deidentified` are not out yet; `done` of `total` is the current generation's.
    Times are seconds since 1970. `generations` counts those that were released.
    """

    study: str
    state: StudyState
    reason: str
    route: str
    modality: str
    opened_at: float
    generation: int
    generations: int
    total: int
    done: int
    received: int
    waiting: int
    deidentified: int
    released: int
    excluded: int
    quarantined: int
    duplicate: int
    rejected: int
    purged_at: float | None

    @property
    def instances(self) -> int:
        """How many instances were received for this study."""
        return self.received


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """An instance, by our own ids."""

    instance: str
    study: str
    series: int
    state: InstanceState
    released: bool
    generation: int | None
    reason: str
    waits_for: str
    attempts: int
    conflict_with: str
    arrived_at: float
    bytes: int
    sop_class_uid: str
    transfer_syntax_uid: str
    modality: str


@dataclass(frozen=True, slots=True)
class FindingRow:
    """What a check found, about an instance or (instance "") about the study as a whole."""

    generation: int
    instance: str
    check: str
    severity: str
    path: str
    explanation: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """One entry of a study's timeline."""

    at: float
    name: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """A generation of a study that was begun, and when it was released."""

    number: int
    route: str
    profile: str
    profile_digest: str
    begun_at: float
    released_at: float | None
    sequence: int
    instances: int
    purged_at: float | None


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """What a person decided, and what came of it."""

    id: str
    kind: str
    study: str
    who: str
    why: str
    decided_at: str
    applied: bool
    message: str


def studies(conn: Connection, state: StudyState | None = None, limit: int = -1) -> list[StudyRow]:
    """List studies, the newest first."""
    query = _study_query().order_by(study_table.c.opened_at.desc(), study_table.c.id).limit(limit)
    if state is not None:
        query = query.where(study_table.c.state == state)
    return [_study_row(row) for row in conn.execute(query)]


def study(conn: Connection, study_id: str) -> StudyRow | None:
    """Give one study, or None if there is none of this id."""
    row = conn.execute(_study_query().where(study_table.c.id == study_id)).one_or_none()
    return None if row is None else _study_row(row)


def in_quarantine(conn: Connection, limit: int = -1) -> list[StudyRow]:
    """List released studies of which instances lie in quarantine still, the newest first."""
    table = study_table.c
    query = _study_query().where(table.state == StudyState.RELEASED, table.quarantined > 0)
    query = query.order_by(table.opened_at.desc(), table.id).limit(limit)
    return [_study_row(row) for row in conn.execute(query)]


def progress(conn: Connection) -> list[StudyRow]:
    """Give the studies that are under way: those receiving, complete or processing."""
    under_way = (StudyState.RECEIVING, StudyState.COMPLETE, StudyState.PROCESSING)
    query = _study_query().where(study_table.c.state.in_(under_way))
    return [_study_row(row) for row in conn.execute(query.order_by(study_table.c.opened_at))]


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


def instances(conn: Connection, study_id: str) -> list[InstanceRow]:
    """List a study's instances in the order of their ids."""
    table = instance_table.c
    query = select(instance_table).where(table.study == study_id).order_by(table.id)
    return [
        InstanceRow(
            instance=row["id"],
            study=row["study"],
            series=row["series"],
            state=InstanceState(row["state"]),
            released=row["released"],
            generation=row["generation"],
            reason=row["reason"],
            waits_for=row["waits_for"] or "",
            attempts=row["attempts"],
            conflict_with=row["conflict_with"] or "",
            arrived_at=row["arrived_at"],
            bytes=row["bytes"],
            sop_class_uid=row["sop_class_uid"],
            transfer_syntax_uid=row["transfer_syntax_uid"],
            modality=row["modality"],
        )
        for row in conn.execute(query).mappings()
    ]


def findings(conn: Connection, study_id: str) -> list[FindingRow]:
    """List what the checks found in a study, in the order of finding."""
    table = finding_table.c
    query = select(
        table.generation, table.instance, table.check, table.severity, table.path, table.explanation
    ).where(table.study == study_id)
    return [
        FindingRow(row[0], row[1] or "", *row[2:]) for row in conn.execute(query.order_by(table.id))
    ]


def timeline(conn: Connection, study_id: str) -> list[EventRow]:
    """Give what happened to a study, oldest first."""
    table = event_table.c
    query = select(table.at, table.name, table.detail).where(table.study == study_id)
    return [
        EventRow(at, name, json.loads(detail))
        for at, name, detail in conn.execute(query.order_by(table.id))
    ]


def generations(conn: Connection, study_id: str) -> list[GenerationRow]:
    """List a study's generations."""
    table = generation_table.c
    query = select(
        table.number, table.route, table.profile, table.profile_digest, table.begun_at,
        table.released_at, table.sequence, table.instances, table.purged_at,
    ).where(table.study == study_id)  # fmt: skip
    return [GenerationRow(*row) for row in conn.execute(query.order_by(table.number))]


def decisions(conn: Connection, study_id: str) -> list[DecisionRow]:
    """List what people decided about a study, in the order of applying."""
    table = decision_table.c
    query = select(
        table.id, table.kind, table.study, table.who, table.why, table.decided_at, table.applied,
        table.message,
    ).where(table.study == study_id)  # fmt: skip
    return [DecisionRow(*row) for row in conn.execute(query.order_by(table.applied_at))]


def _study_query() -> Select[Any]:
    released = (
        select(func.count())
        .where(
            generation_table.c.study == study_table.c.id,
            generation_table.c.released_at.is_not(None),
        )
        .scalar_subquery()
    )
    columns = study_table.c
    return select(
        columns.id, columns.state, columns.reason, columns.route, columns.modality,
        columns.opened_at, columns.generation, released, columns.total, columns.done,
        *(columns[name] for name in COUNTS), columns.purged_at,
    )  # fmt: skip


def _study_row(row: AnyRow) -> StudyRow:
    return StudyRow(row[0], StudyState(row[1]), *row[2:])
