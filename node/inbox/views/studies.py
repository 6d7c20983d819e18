"""The studies, and how far each is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

from node.inbox.index import AnyRow
from node.inbox.states import StudyState
from node.inbox.tables import COUNTS
from node.inbox.tables import generation as generation_table
from node.inbox.tables import study as study_table


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
