"""What one study consists of, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from node.inbox.states import InstanceState
from node.inbox.tables import decision as decision_table
from node.inbox.tables import event as event_table
from node.inbox.tables import finding as finding_table
from node.inbox.tables import generation as generation_table
from node.inbox.tables import instance as instance_table


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
