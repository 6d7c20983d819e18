"""The index: what we decided about the files of the inbox, in SQLite.

`process` opens it for writing and migrates it; everyone else opens it to read (DatabaseNotReady,
DatabaseTooNew). Files are the truth: an index that is lost is rebuilt by `verify --repair`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine, Row, select
from sqlalchemy.dialects.sqlite import insert

from node.database import open_for_reading, open_for_writing
from node.inbox.tables import meta

#: A row of any query; its columns by name.
AnyRow: TypeAlias = "Row[*tuple[Any, ...]]"

MIGRATIONS = Path(__file__).parent / "migrations"


def open_index(path: Path, readonly: bool = False) -> Engine:
    """Open the index; the one writer makes or migrates it, a reader takes it as it is."""
    if readonly:
        return open_for_reading(path, MIGRATIONS)
    return open_for_writing(path, MIGRATIONS)


def get_meta(conn: Connection, key: str) -> str | None:
    """Give a recorded fact about this index, such as the fingerprint of its key."""
    return conn.execute(select(meta.c.value).where(meta.c.key == key)).scalar()


def set_meta(conn: Connection, key: str, value: str) -> None:
    """Record a fact about this index."""
    row = insert(meta).values(key=key, value=value)
    conn.execute(row.on_conflict_do_update(index_elements=["key"], set_={"value": value}))
