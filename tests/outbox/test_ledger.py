"""The ledger: what became of each release at each destination, and nothing that identifies."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from node import database
from node.database import DatabaseNotReady, DatabaseTooNew
from node.outbox import deliveries, instances, ledger, tables
from node.outbox.destinations import destination_row
from node.outbox.instances import InstanceOutcome
from node.outbox.manifest import Manifest, ReleasedInstance
from node.outbox.states import TRANSITIONS, DeliveryState, IllegalTransition, InstanceState
from tests.outbox.releases import make_outbox, make_release

S = DeliveryState


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    """Give an empty ledger."""
    return ledger.open_ledger(tmp_path / "ledger.sqlite3")


@pytest.fixture
def made(tmp_path: Path) -> Manifest:
    """Give a release of three instances."""
    outbox, key = make_outbox(tmp_path)
    return make_release(outbox, key)


def _add(engine: sa.Engine, made: Manifest, state: DeliveryState = S.PENDING) -> int:
    with engine.begin() as connection:
        ledger.add_release(connection, made, now=1.0)
        return ledger.add_delivery(
            connection, made.release, "research", made.instances, 1.0, state=state
        )


def test_the_migrations_make_what_the_code_expects(engine: sa.Engine) -> None:
    """Tables and migrations cannot drift apart."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, tables.metadata) == []


def test_a_reader_waits_for_the_writer(tmp_path: Path) -> None:
    """Before its writer has made it, the ledger is not ready; no reader makes one."""
    path = tmp_path / "ledger.sqlite3"
    with pytest.raises(DatabaseNotReady):
        ledger.open_ledger(path, readonly=True)
    assert not path.exists()
    path.touch()
    with pytest.raises(DatabaseNotReady):
        ledger.open_ledger(path, readonly=True)


def test_a_newer_schema_stops_reader_and_writer(tmp_path: Path, engine: sa.Engine) -> None:
    """What a newer version wrote is not touched by an older one."""
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for readonly in (True, False):
        with pytest.raises(DatabaseTooNew):
            ledger.open_ledger(tmp_path / "ledger.sqlite3", readonly=readonly)


def test_the_ledger_survives_a_power_cut_and_is_closed_to_others(
    tmp_path: Path, engine: sa.Engine
) -> None:
    """WAL with synchronous=FULL; the file and what lies beside it are 0660 at most."""
    with engine.begin() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        ledger.set_destination(connection, "research", failures=1)
    for path in tmp_path.glob("ledger*"):
        assert path.stat().st_mode & 0o007 == 0


def test_a_reader_cannot_write(tmp_path: Path, engine: sa.Engine) -> None:
    """Only forward writes the ledger."""
    del engine
    reader = ledger.open_ledger(tmp_path / "ledger.sqlite3", readonly=True)
    with reader.connect() as connection, pytest.raises(sa.exc.OperationalError):
        ledger.set_destination(connection, "research", failures=1)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(S, S)))
def test_deliveries_move_only_as_the_table_says(
    engine: sa.Engine, made: Manifest, before: DeliveryState, after: DeliveryState
) -> None:
    """Each pair of states either moves, or raises and changes nothing."""
    number = _add(engine, made, before)
    with engine.begin() as connection:
        if after in TRANSITIONS[before]:
            ledger.move(connection, number, before, after, 2.0)
        else:
            with pytest.raises(IllegalTransition):
                ledger.move(connection, number, before, after, 2.0)
        expected = after if after in TRANSITIONS[before] else before
        assert deliveries.delivery_by_id(connection, number).state is expected


def test_a_move_from_a_state_that_was_left_is_refused(engine: sa.Engine, made: Manifest) -> None:
    """Compare-and-set: of two movers, one learns that it was late."""
    number = _add(engine, made)
    with engine.begin() as connection:
        ledger.move(connection, number, S.PENDING, S.SENDING, 2.0)
        with pytest.raises(IllegalTransition):
            ledger.move(connection, number, S.PENDING, S.ABANDONED, 2.0)


def test_every_open_state_can_be_ended_by_people() -> None:
    """Nothing can be stuck: what is not settled can be abandoned and withdrawn."""
    for state in set(S) - {S.DELIVERED, S.COMMITTED, S.REFUSED, S.ABANDONED, S.WITHDRAWN}:
        assert {S.ABANDONED, S.WITHDRAWN} <= TRANSITIONS[state]


def test_counts_follow_the_instances(engine: sa.Engine, made: Manifest) -> None:
    """Counts are computed in the transaction that moves the instances."""
    number = _add(engine, made)
    files = [entry.file for entry in made.instances]
    states = (InstanceState.STORED, InstanceState.COMMITTED, InstanceState.REFUSED)
    with engine.begin() as connection:
        instances.intend(connection, number, files)
        instances.record(
            connection,
            [
                InstanceOutcome(number, file, state)
                for file, state in zip(files, states, strict=True)
            ],
        )
        found = deliveries.delivery_by_id(connection, number)
        assert (found.total, found.stored, found.committed, found.refused) == (3, 2, 1, 1)
        instances.reset(connection, number, list(InstanceState), failures=True)
        found = deliveries.delivery_by_id(connection, number)
        assert (found.total, found.stored, found.committed, found.refused) == (3, 0, 0, 0)


def test_an_intent_that_never_left_is_taken_back(engine: sa.Engine, made: Manifest) -> None:
    """Only what may have left counts as sent before."""
    number = _add(engine, made)
    sent, kept, _ = (entry.file for entry in made.instances)
    with engine.begin() as connection:
        instances.intend(connection, number, [sent, kept])
        instances.record(
            connection, [InstanceOutcome(number, kept, InstanceState.PENDING, begun=False)]
        )
        intents = {row.file: row.intents for row in instances.instances_of(connection, number)}
    assert (intents[sent], intents[kept]) == (1, 0)


def test_what_is_due_comes_oldest_first(engine: sa.Engine, tmp_path: Path) -> None:
    """By sequence of release; what is deferred waits, unless the clock was set back."""
    outbox, key = make_outbox(tmp_path)
    for study in (3, 1, 2):
        _add(engine, make_release(outbox, key, study=study))
    with engine.begin() as connection:
        first, second, third = deliveries.due(connection, "research", 10.0, 100.0, 9)
        assert [d.sequence for d in (first, second, third)] == [1, 2, 3]
        for delivery, gate in ((first, 50.0), (second, 500.0)):
            ledger.move(connection, delivery.id, S.PENDING, S.SENDING, 10.0)
            ledger.move(connection, delivery.id, S.SENDING, S.DEFERRED, 10.0, next_attempt_at=gate)
        due = deliveries.due(connection, "research", 10.0, 100.0, 9)
        assert [d.sequence for d in due] == [2, 3]


def test_the_ledger_holds_no_uid(engine: sa.Engine, made: Manifest, tmp_path: Path) -> None:
    """With file names of our own, as retain-uids makes them, no UID is in its file."""
    own = tuple(
        ReleasedInstance(
            sop_instance_uid=entry.sop_instance_uid, file=f"own-{number}.dcm",
            sop_class_uid=entry.sop_class_uid, transfer_syntax_uid=entry.transfer_syntax_uid,
            modality="CT", bytes=entry.bytes, sha256=entry.sha256,
        )
        for number, entry in enumerate(made.instances)
    )  # fmt: skip
    with engine.begin() as connection:
        ledger.add_release(connection, made, now=1.0)
        ledger.add_delivery(connection, made.release, "research", own, 1.0)
    engine.dispose()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("ledger*"))
    assert b"own-1.dcm" in content
    assert made.instances[0].sop_instance_uid.encode() not in content


def test_the_timeline_tells_each_move(engine: sa.Engine, made: Manifest) -> None:
    """What happened to a study's deliveries can be read back in order."""
    number = _add(engine, made)
    with engine.begin() as connection:
        ledger.move(connection, number, S.PENDING, S.SENDING, 2.0)
        ledger.move(connection, number, S.SENDING, S.DEFERRED, 3.0, answer="A700H out of resources")
        told = deliveries.timeline(connection, made.study)
    assert [(event["at"], event["state"]) for event in told] == [
        (1.0, "PENDING"), (2.0, "SENDING"), (3.0, "DEFERRED"),
    ]  # fmt: skip
    assert told[-1]["answer"] == "A700H out of resources"


def test_a_release_is_seen_whole_or_not_at_all(engine: sa.Engine, made: Manifest) -> None:
    """What is not committed when a crash comes leaves no row."""
    with engine.connect() as connection:
        ledger.add_release(connection, made, now=1.0)
        connection.invalidate()  # the connection dies in the middle of the transaction
    with engine.connect() as connection:
        assert deliveries.release_names(connection) == frozenset()


def test_opening_migrates_once(tmp_path: Path) -> None:
    """A second start finds the schema as it is and keeps what is in it."""
    path = tmp_path / "ledger.sqlite3"
    with database.open_for_writing(path, ledger.MIGRATIONS).begin() as connection:
        ledger.set_destination(connection, "research", failures=3)
    with database.open_for_writing(path, ledger.MIGRATIONS).connect() as connection:
        assert destination_row(connection, "research").failures == 3
