"""The index keeps its counts by itself, moves states by one table, and shows no PHI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, func, insert, select, update

from node.database import DatabaseNotReady, DatabaseTooNew
from node.inbox import views
from node.inbox.index import get_meta, open_index, set_meta
from node.inbox.states import (
    INSTANCE_TRANSITIONS,
    TRANSITIONS,
    IllegalTransition,
    InstanceState,
    Stale,
    StudyState,
    move_instance,
    move_study,
)
from node.inbox.tables import COUNTS, instance, metadata, study, total
from node.inbox.triggers import TRIGGERS


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Engine]:
    """Make an index."""
    engine = open_index(tmp_path / "index.sqlite3")
    yield engine
    engine.dispose()


def add_study(
    conn: Connection, study_id: str = "s1", state: StudyState = StudyState.RECEIVING
) -> None:
    """Insert a study."""
    conn.execute(insert(study).values(id=study_id, state=state, opened_at=0))


def add_instance(conn: Connection, name: str, study_id: str = "s1", **values: object) -> None:
    """Insert an instance."""
    row = {
        "id": name, "study": study_id, "series": 1, "state": InstanceState.RECEIVED,
        "arrived_at": 0, "bytes": 1, "sop_digest": name, "series_digest": "", "patient_digest": "",
    }  # fmt: skip
    conn.execute(insert(instance).values(**{**row, **values}))


def test_the_migrations_make_the_tables_that_the_code_speaks_of(index: Engine) -> None:
    """No column is missing, left over or of another type."""
    with index.connect() as conn:
        differences = compare_metadata(MigrationContext.configure(conn), metadata)
    assert differences == []


def test_the_migrations_make_the_triggers_that_the_code_speaks_of(index: Engine) -> None:
    """The counts are kept by the statements of node/inbox/triggers.py, word for word."""
    with index.connect() as conn:
        made = conn.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'trigger'")
        assert sorted(made.scalars()) == sorted(TRIGGERS)


def test_a_reader_waits_for_the_writer_and_stops_at_a_newer_schema(tmp_path: Path) -> None:
    """Before the writer there is nothing to read; after a newer one nothing to understand."""
    path = tmp_path / "index.sqlite3"
    with pytest.raises(DatabaseNotReady):
        open_index(path, readonly=True)
    engine = open_index(path)
    with engine.begin() as conn:
        set_meta(conn, "a", "1")
        set_meta(conn, "a", "2")
    reader = open_index(path, readonly=True)
    with reader.connect() as conn:
        assert get_meta(conn, "a") == "2"
    reader.dispose()
    with engine.begin() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(DatabaseTooNew):
        open_index(path)


def test_every_move_of_the_table_is_made_once_and_no_other(index: Engine) -> None:
    """A move that the table lacks, and a row that moved meanwhile, are refused."""
    for source in StudyState:
        for target in StudyState:
            with index.connect() as conn:
                add_study(conn, state=source)
                if (source, target) not in TRANSITIONS:
                    with pytest.raises(IllegalTransition):
                        move_study(conn, "s1", source, target, 1.0)
                    continue
                move_study(conn, "s1", source, target, 1.0)
                with pytest.raises(Stale):
                    move_study(conn, "s1", source, target, 2.0)


def test_an_instance_moves_by_its_table_too(index: Engine) -> None:
    """What is de-identified does not become quarantined."""
    with index.begin() as conn:
        add_study(conn)
        add_instance(conn, "a-1")
        move_instance(conn, "a-1", InstanceState.RECEIVED, InstanceState.DEIDENTIFIED)
        with pytest.raises(Stale):
            move_instance(conn, "a-1", InstanceState.RECEIVED, InstanceState.EXCLUDED)
        with pytest.raises(IllegalTransition):
            move_instance(conn, "a-1", InstanceState.DEIDENTIFIED, InstanceState.QUARANTINED)


def test_every_state_has_a_way_out_or_is_an_end() -> None:
    """Only REJECTED and DUPLICATE are for ever."""
    assert set(StudyState) - {source for source, _target in TRANSITIONS} == {StudyState.REJECTED}
    assert set(InstanceState) - {source for source, _target in INSTANCE_TRANSITIONS} == {
        InstanceState.DUPLICATE, InstanceState.REJECTED,
    }  # fmt: skip


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.sampled_from(["s1", "s2"]), st.sampled_from(InstanceState)),
        st.tuples(st.just("move"), st.integers(0, 20), st.sampled_from(InstanceState)),
        st.tuples(st.just("release"), st.integers(0, 20), st.booleans()),
        st.tuples(st.just("generation"), st.integers(0, 20), st.sampled_from([None, 0, 1])),
        st.tuples(st.just("wait"), st.integers(0, 20), st.sampled_from([None, "a person"])),
        st.tuples(st.just("study"), st.sampled_from(["s1", "s2"]), st.sampled_from(StudyState)),
        st.tuples(st.just("delete"), st.integers(0, 20), st.none()),
    ),
    max_size=25,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(CHANGES)
def test_the_counts_are_the_rows_whatever_happens(index: Engine, changes: list[tuple]) -> None:  # type: ignore[type-arg]
    """Counts of studies and totals of states equal what counting the rows gives."""
    with index.connect() as conn:
        add_study(conn, "s1")
        add_study(conn, "s2", StudyState.HELD)
        names: list[str] = []
        for kind, which, value in changes:
            _change(conn, names, kind, which, value)
        for study_id in ("s1", "s2"):
            row = conn.execute(select(study).where(study.c.id == study_id)).one()._mapping
            assert {name: row[name] for name in (*COUNTS, "total", "done")} == _counted(
                conn, study_id
            )
        sums = {row.state: row for row in conn.execute(select(total))}
        for state in StudyState:
            rows = conn.execute(select(study).where(study.c.state == state)).mappings().all()
            found = sums.get(state)
            assert (found.studies if found else 0) == len(rows)
            for name in COUNTS:
                assert (found._mapping[name] if found else 0) == sum(row[name] for row in rows)
        counts = views.conservation(conn, arrived_count=3)
        assert counts.pop("received") == sum(counts.values()) == len(names) + 3
        conn.rollback()


def _change(conn: Connection, names: list[str], kind: str, which: object, value: object) -> None:
    if kind == "insert":
        highest = max((int(name[1:]) for name in names), default=0)
        names.append(f"n{highest + 1}")
        add_instance(conn, names[-1], str(which), state=value)
    elif kind == "study":
        conn.execute(update(study).where(study.c.id == which).values(state=value))
    elif names:
        name = names[int(str(which)) % len(names)]
        if kind == "delete":
            conn.execute(instance.delete().where(instance.c.id == name))
            names.remove(name)
            return
        column = {"move": "state", "wait": "waits_for"}.get(kind, kind)
        column = "released" if kind == "release" else column
        conn.execute(update(instance).where(instance.c.id == name).values({column: value}))


def _counted(conn: Connection, study_id: str) -> dict[str, int]:
    """Count the slow way."""

    def count(*conditions: object) -> int:
        query = select(func.count()).where(instance.c.study == study_id, *conditions)  # type: ignore[arg-type]
        return conn.execute(query).scalar_one()

    state, out = instance.c.state, instance.c.released
    number = select(study.c.generation).where(study.c.id == study_id).scalar_subquery()
    current = instance.c.generation == number
    return {
        "received": count(),
        "waiting": count(state == "RECEIVED"),
        "deidentified": count(state == "DEIDENTIFIED", ~out),
        "released": count(state == "DEIDENTIFIED", out),
        "excluded": count(state == "EXCLUDED"),
        "quarantined": count(state == "QUARANTINED"),
        "duplicate": count(state == "DUPLICATE"),
        "rejected": count(state == "REJECTED"),
        "total": count(current),
        "done": count(current, (state != "RECEIVED") | instance.c.waits_for.is_not(None)),
    }


def test_workers_are_never_more_than_there_is_work_for(index: Engine) -> None:
    """`workers` is true from rows, and while `process` is dead nobody works."""
    with index.begin() as conn:
        add_study(conn)
        set_meta(conn, "slots", "4")
        assert views.workers(conn) == {"totalWorkers": 0, "activeJobs": 0, "queuedJobs": 0}
        for state in ("ACTIVE", "QUEUED", "QUEUED"):
            conn.exec_driver_sql(
                "INSERT INTO job (study, generation, state, instances) VALUES ('s1', 1, ?, '[]')",
                (state,),
            )
        assert views.workers(conn) == {"totalWorkers": 3, "activeJobs": 1, "queuedJobs": 2}
        assert views.workers(conn, process_alive=False) == {
            "totalWorkers": 0, "activeJobs": 0, "queuedJobs": 3,
        }  # fmt: skip


def test_no_row_that_others_see_has_a_column_of_phi() -> None:
    """What views give has no field for a name, an ID or an original UID."""
    fields = {
        field
        for row in (
            views.StudyRow, views.InstanceRow, views.FindingRow, views.EventRow,
            views.GenerationRow, views.DecisionRow,
        )
        for field in row.__dataclass_fields__
    }  # fmt: skip
    assert not fields & {
        "patient_id", "issuer_of_patient_id", "study_instance_uid", "series_instance_uid",
        "sop_instance_uid",
    }  # fmt: skip


def test_no_page_of_the_index_lies_in_a_file_elsewhere(index: Engine) -> None:
    """SQLite keeps what it may have to undo in memory, not in a file of its own in /var/tmp."""
    with index.begin() as conn:
        add_study(conn)
        for number in range(300):
            add_instance(conn, f"n{number}", patient_id="1" * 200)
        conn.exec_driver_sql("SAVEPOINT part")
        conn.execute(update(instance).values(patient_id="2" * 200))
        links = [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
        temporary = [path for path in links if "etilqs" in path.name]
        conn.exec_driver_sql("ROLLBACK TO part")
        assert conn.execute(select(func.count()).where(instance.c.patient_id == "1" * 200)).scalar()
    assert not temporary
