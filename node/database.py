"""A zone's SQLite database: made, migrated and opened, the same way for the index and the ledger.

WAL, and synchronous=FULL: a committed row survives a power cut. One role writes a database and
migrates it at start; every other role reads, waits while it is not there yet, and stops when its
schema is newer than its code.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from node import failpoint

BUSY_SECONDS = 10.0


class DatabaseNotReady(Exception):  # noqa: N818 -- a fact, and it may help to wait
    """The database is not there yet, or its writer has not migrated it; waiting helps."""


class DatabaseOld(DatabaseNotReady):
    """The database is of an older version, and its writer has not migrated it yet."""


class DatabaseTooNew(Exception):  # noqa: N818 -- a fact; waiting does not help
    """The database was written by a newer version of this program."""


def open_for_writing(path: Path, migrations: Path) -> sa.Engine:
    """Open a database as its only writer, make it if it is missing, and migrate it.

    Raises
    ------
    DatabaseTooNew
        If its schema is one that `migrations` does not know.
    """
    # 0660 before the first connect: -wal and -shm take the file's mode and group.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660))
    engine = _engine(path, readonly=False)
    with engine.connect() as connection:
        found = _revision(connection)
    known = revisions(migrations)
    if found not in (None, *known):
        engine.dispose()
        raise DatabaseTooNew(f"{path} was written by a newer version of deid-node")
    if found != known[-1]:
        migrate(engine, migrations, known[-1])
    return engine


def open_for_reading(path: Path, migrations: Path) -> sa.Engine:
    """Open a database that another role writes.

    Raises
    ------
    DatabaseNotReady
        If it is missing, or (DatabaseOld) not yet migrated to this version's schema.
    DatabaseTooNew
        If its schema is one that `migrations` does not know.
    """
    if not path.exists():
        raise DatabaseNotReady(f"{path} is not there yet")
    engine = _engine(path, readonly=True)
    try:
        with engine.connect() as connection:
            found = _revision(connection)
    except sa.exc.OperationalError:
        engine.dispose()
        raise DatabaseNotReady(f"{path} cannot be read yet") from None
    known = revisions(migrations)
    if found == known[-1]:
        return engine
    engine.dispose()
    if found is None:
        raise DatabaseNotReady(f"{path} has no tables yet")
    if found in known:
        raise DatabaseOld(f"{path} is of an older version; its role migrates it when it starts")
    raise DatabaseTooNew(f"{path} was written by a newer version of deid-node")


def _engine(path: Path, *, readonly: bool) -> sa.Engine:
    # mode=ro still takes part in WAL (it needs -shm); query_only holds a writer's mistake back.
    engine = sa.create_engine(
        f"sqlite:///file:{path}?mode={'ro' if readonly else 'rw'}&uri=true",
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        # Else copies of pages, which name patients, go through files in /var/tmp at each write.
        cursor.execute("PRAGMA temp_store=MEMORY")
        if readonly:
            cursor.execute("PRAGMA query_only=ON")
        else:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            # A million rows have more pages than SQLite keeps by itself (2 MB). In KiB: twice as
            # much gained nothing, and is memory that each writer comes to hold.
            cursor.execute("PRAGMA cache_size=-32768")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")

    @sa.event.listens_for(engine, "commit")
    def commit(_connection: sa.Connection) -> None:
        if not readonly:
            failpoint.reach("before commit in", path)

    return engine


def revisions(migrations: Path) -> list[str]:
    """Give the revisions of a tree, the newest last: their files are named by them.

    Read from the names alone, so that only who migrates imports Alembic, which takes its time.
    """
    return sorted(path.name[:4] for path in (migrations / "versions").glob("[0-9]*.py"))


def migrate(engine: sa.Engine, migrations: Path, revision: str) -> None:
    """Take a database to a later revision, in one transaction."""
    from alembic import command  # noqa: PLC0415 -- see `revisions`
    from alembic.config import Config  # noqa: PLC0415

    script = Config()
    script.set_main_option("script_location", str(migrations).replace("%", "%%"))
    with engine.begin() as connection:
        script.attributes["connection"] = connection
        command.upgrade(script, revision)


def _revision(connection: sa.Connection) -> str | None:
    """Give the revision that a database has, None while it has none."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
    return found.scalar()
