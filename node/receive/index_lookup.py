"""The one thing that receive reads of the index: where an instance lies, for commitment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from node.database import DatabaseNotReady, DatabaseTooNew
from node.inbox.index import open_index
from node.inbox.layout import Inbox
from node.inbox.originals import original
from node.inbox.tables import instance

#: SQLite takes at least this many variables in a statement.
_AT_A_TIME = 500


class IndexFailed(OSError):  # noqa: N818 -- a fact, as a disk's failure is
    """The index is there and does not answer: its disk, its file, its lock or its version."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A row of the index; whether the file still is there, the caller looks."""

    sop_class: str
    sop_instance: str
    path: Path


def instances_in_index(wanted: set[str], inbox: Inbox) -> list[Indexed]:
    """Give the rows with these SOP Instance UIDs; none while there is no index yet.

    Raises IndexFailed where there is one, and it cannot be asked.
    """
    if not inbox.database.exists():
        return []
    try:
        engine = open_index(inbox.database, readonly=True)
        try:
            return list(_look_up(sorted(wanted), engine, inbox))
        finally:
            engine.dispose()
    except (DatabaseNotReady, DatabaseTooNew, SQLAlchemyError) as error:
        raise IndexFailed from error


def _look_up(uids: list[str], engine: Engine, inbox: Inbox) -> Iterator[Indexed]:
    columns = (
        instance.c.sop_class_uid,
        instance.c.sop_instance_uid,
        instance.c.study,
        instance.c.id,
    )
    with engine.connect() as conn:
        for start in range(0, len(uids), _AT_A_TIME):
            part = uids[start : start + _AT_A_TIME]
            asked = select(*columns).where(instance.c.sop_instance_uid.in_(part))
            for row in conn.execute(asked):
                path = original(inbox, row.study, row.id)
                yield Indexed(row.sop_class_uid, row.sop_instance_uid, path)
