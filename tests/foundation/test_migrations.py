"""A database of any earlier version, with what a node had in it, becomes one of this version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from node import database
from node.inbox import index
from node.inbox.decisions import DecisionKind
from node.inbox.tables import COUNTS
from node.inbox.tables import metadata as index_tables
from node.inbox.verify import verify_inbox
from node.outbox import deliveries, ledger
from node.outbox.decisions import DecisionKind as DeliveryDecisionKind
from node.outbox.decisions import DeliveryDecision
from node.outbox.states import DeliveryState
from node.outbox.tables import metadata as ledger_tables
from tests.cli.test_backup import arrive, busy, state_of
from tests.outbox.releases import make_outbox, make_release
from tests.process.conftest import Door, door, make_door, quiet_log, scripted_engine

__all__ = ["busy", "door", "make_door", "quiet_log", "scripted_engine"]
TREES = {"index": index.MIGRATIONS, "ledger": ledger.MIGRATIONS}
#: Kept by triggers from the other rows.
COUNTED = {
    "study": {*COUNTS, "total", "done"},
    "delivery": {"total", "stored", "committed", "refused"},
}
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Earlier:
    """A database as an earlier version left it."""

    path: Path
    tables: sa.MetaData


def earlier(path: Path, migrations: Path, revision: str) -> Earlier:
    """Make an empty database of a revision."""
    path.touch()
    engine = database._engine(path, readonly=False)
    database.migrate(engine, migrations, revision)
    tables = sa.MetaData()
    tables.reflect(engine)
    engine.dispose()
    return Earlier(path, tables)


def rows_of(path: Path, tables: sa.MetaData) -> Rows:
    """Read every row; of totals those that count something."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as conn:
        found = {
            table.name: [dict(row) for row in conn.execute(sa.select(table)).mappings()]
            for table in tables.sorted_tables
            if table.name != "alembic_version"
        }
    engine.dispose()
    if "total" in found:
        found["total"] = sorted(
            (row for row in found["total"] if row["studies"]), key=lambda row: row["state"]
        )
    return found


def fill(made: Earlier, rows: Rows) -> None:
    """Write rows as the earlier version would have: its triggers count."""
    engine = sa.create_engine(f"sqlite:///{made.path}")
    with engine.begin() as conn:
        for table in made.tables.sorted_tables:
            left_out = COUNTED.get(table.name, set())
            if table.name != "total" and rows.get(table.name):
                wanted = [
                    {name: value for name, value in row.items() if name not in left_out}
                    for row in rows[table.name]
                ]
                conn.execute(table.insert(), wanted)
    engine.dispose()


def common(path: Path, made: Earlier) -> Rows:
    """Read a database of this version in the columns that an earlier one had."""
    now = sa.MetaData()
    engine = sa.create_engine(f"sqlite:///{path}")
    now.reflect(engine)
    engine.dispose()
    for table in list(now.sorted_tables):
        if table.name not in made.tables.tables:
            now.remove(table)
            continue
        for column in list(table.columns):
            if column.name not in made.tables.tables[table.name].columns:
                table._columns.remove(column)
    return rows_of(path, now)


@pytest.mark.parametrize("tree", TREES)
def test_files_of_migrations_are_named_by_their_revision(tree: str) -> None:
    """So that their names alone tell the order, as Alembic reads it from inside."""
    script = ScriptDirectory(str(TREES[tree]))
    order = [one.revision for one in reversed(list(script.walk_revisions()))]
    assert database.revisions(TREES[tree]) == order


@pytest.mark.parametrize("revision", database.revisions(index.MIGRATIONS))
def test_an_index_of_any_earlier_version_goes_on(busy: Door, tmp_path: Path, revision: str) -> None:
    """No row is lost, the schema is today's, and the studies in every state go on from there."""
    engine = busy.place.index
    with engine.begin() as conn:
        conn.exec_driver_sql(
            "INSERT INTO association (id, study, number) SELECT 'a', id, 1 FROM study LIMIT 1"
        )
    busy.close()
    made = earlier(tmp_path / "earlier.sqlite3", index.MIGRATIONS, revision)
    rows = common(busy.inbox.database, made)
    assert all(rows.values()), "a table has no row to be kept"
    fill(made, rows)
    for path in busy.inbox.database.parent.iterdir():
        path.unlink()
    made.path.rename(busy.inbox.database)

    busy.pool.hold = False
    migrated = index.open_index(busy.inbox.database)
    with migrated.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), index_tables) == []
        assert list(verify_inbox(busy.inbox, conn)) == []
    migrated.dispose()
    assert common(busy.inbox.database, made) == rows
    busy.restart()
    arrive(busy, 6)
    busy.decide(DecisionKind.REQUEUE, held_study(busy))
    busy.settle()
    busy.decide(DecisionKind.RELEASE, held_study(busy), override=True, why="looked at")
    busy.settle()
    states = [state_of(busy, patient) for patient in range(1, 7)]
    assert states == ["RELEASED", "RELEASED", "REJECTED", "RELEASED", "RELEASED", "RELEASED"]
    with busy.place.index.connect() as conn:
        assert list(verify_inbox(busy.inbox, conn)) == []


def held_study(node: Door) -> str:
    """Give the held study's id."""
    (held,) = [row.study for row in node.studies() if row.state == "HELD"]
    return held


@pytest.mark.parametrize("revision", database.revisions(ledger.MIGRATIONS))
def test_a_ledger_of_any_earlier_version_goes_on(tmp_path: Path, revision: str) -> None:
    """No row is lost, and deliveries are read and moved as before."""
    written = tmp_path / "written.sqlite3"
    before = write_ledger(tmp_path, written)
    made = earlier(tmp_path / "earlier.sqlite3", ledger.MIGRATIONS, revision)
    rows = common(written, made)
    assert all(rows.values()), "a table has no row to be kept"
    fill(made, rows)

    engine = ledger.open_ledger(made.path)
    with engine.begin() as conn:
        assert compare_metadata(MigrationContext.configure(conn), ledger_tables) == []
        assert deliveries.deliveries(conn) == before
        ledger.move(conn, before[0].id, DeliveryState.PENDING, DeliveryState.SENDING, 3.0)
        assert deliveries.deliveries(conn)[0].state == DeliveryState.SENDING
    engine.dispose()


def write_ledger(folder: Path, path: Path) -> list[deliveries.Delivery]:
    """Make a ledger with a row in every table, and give its deliveries."""
    outbox, key = make_outbox(folder)
    manifest = make_release(outbox, key)
    decision = DeliveryDecision(DeliveryDecisionKind.PAUSE, "ada", "2026", destination="research")
    engine = ledger.open_ledger(path)
    with engine.begin() as conn:
        ledger.add_release(conn, manifest, 1.0)
        number = ledger.add_delivery(conn, manifest.release, "research", manifest.instances, 1.0)
        ledger.set_destination(conn, "research", paused=True, last_answer="0000 success")
        ledger.take_decision(conn, "1.json", decision, 2.0)
        ledger.add_withdrawal(conn, "elsewhere", 2.0)
        ledger.add_transaction(conn, "2.25.1", number, 2.0)
        found: Callable[..., list[deliveries.Delivery]] = deliveries.deliveries
        kept = found(conn)
    engine.dispose()
    return kept
