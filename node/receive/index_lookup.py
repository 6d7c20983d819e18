"""The one thing that receive reads of the index: where an instance lies, for commitment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from node.database import DatabaseNotReady, DatabaseTooNew
from node.inbox.index import open_index
from node.inbox.layout import Inbox
from node.inbox.originals import original
from node.inbox.tables import instance

#: SQLite takes at least this many variables in a statement.
_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class Indexed:
    """A row of the index; whether the file still is there, the caller looks."""

    sop_class: str
    sop_instance: str
    path: Path


def instances_in_index(wanted: set[str], inbox: Inbox) -> list[Indexed]:
    """Give the rows with these SOP Instance UIDs; none while there is no index that we can read."""
    try:
        engine = open_index(inbox.database, readonly=True)
    except (DatabaseNotReady, DatabaseTooNew):
        return []
    columns = (
        instance.c.sop_class_uid,
        instance.c.sop_instance_uid,
        instance.c.study,
        instance.c.id,
    )
    try:
        with engine.connect() as conn:
            return [
                Indexed(row.sop_class_uid, row.sop_instance_uid, original(inbox, row.study, row.id))
                for part in _parts(sorted(wanted))
                for row in conn.execute(
                    select(*columns).where(instance.c.sop_instance_uid.in_(part))
                )
            ]
    finally:
        engine.dispose()


def _parts(uids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(uids), _AT_A_TIME):
        yield uids[start : start + _AT_A_TIME]
