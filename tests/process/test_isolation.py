"""Studies share transactions, and what goes wrong with one of them stops no other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from node.outbox.chain import check_chain
from node.process import beginning, closing, recording, role
from node.process.finished import Finished
from node.process.messages import Outcome
from node.process.outcomes import Work
from node.process.together import Postponed
from node.process.workplace import Transaction, Workplace
from tests.process.conftest import Door, small_studies


@contextmanager
def failing_to_begin(
    monkeypatch: pytest.MonkeyPatch,
    studies: Collection[str],
    fail: Callable[[Transaction, str], None],
) -> Iterator[None]:
    """Let something go wrong with these studies, each time when their rows are half written."""
    real = beginning._record_generation

    def record(place: Workplace, transaction: Transaction, study_id: str, *rest: Any) -> None:
        real(place, transaction, study_id, *rest)
        if study_id in studies:
            fail(transaction, study_id)

    with monkeypatch.context() as failing:
        failing.setattr(beginning, "_record_generation", record)
        yield


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ZeroDivisionError(), "HELD"),
        (OSError(5, ""), "COMPLETE"),
        (OperationalError("", {}, Exception()), "COMPLETE"),
    ],
)
def test_a_study_that_cannot_begin_stops_no_other(
    door: Door, monkeypatch: pytest.MonkeyPatch, error: Exception, state: str
) -> None:
    """What is undone is that study's part; a bug holds it, a failing disk is tried again."""
    small_studies(door, 5, images=2)
    door.tick()
    bad = door.studies()[2].study

    def fail(*_: object) -> None:
        raise error

    # As long as it is: who waits for it would wait for ever, for it fails again each time.
    monkeypatch.setattr(role, "TROUBLE_SECONDS", 5.0)
    door.run.postponed.seconds = 600.0
    with failing_to_begin(monkeypatch, {bad}, fail):
        door.settle()
    states = {one.study: one.state for one in door.studies()}
    assert states.pop(bad) == state
    assert set(states.values()) == {"RELEASED"}
    row = next(one for one in door.studies() if one.study == bad)
    held = "unforeseen ZeroDivisionError" if state == "HELD" else ""
    assert (row.reason, row.generation) == (held, 0)
    door.run.postponed = Postponed(0.0)  # ten minutes later
    if state == "HELD":
        door.decide("requeue", bad)
    door.settle()
    assert {one.state for one in door.studies()} == {"RELEASED"}


def test_those_that_cannot_begin_leave_room_for_younger_ones(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest begin first, a few at a time: three that never do are not all there is."""
    small_studies(door, 4, images=1)
    door.tick()
    all_of_them = {one.study for one in door.studies()}
    bad: set[str] = set()

    def fail(_: Transaction, study_id: str) -> None:
        if len(bad) < 3 or study_id in bad:  # the first three that it comes to
            bad.add(study_id)
            raise OSError(5, "")

    monkeypatch.setattr(beginning, "AT_ONCE", 2)
    door.run.postponed.seconds = 600.0
    with failing_to_begin(monkeypatch, all_of_them, fail):
        door.settle()
    states = {one.study: one.state for one in door.studies()}
    assert {study: state for study, state in states.items() if state == "COMPLETE"}.keys() == bad
    assert len(bad) == 3
    assert [states[young] for young in all_of_them - bad] == ["RELEASED"]


def test_where_a_full_disk_undoes_all_that_begins_the_others_begin_without_that_study(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has forgotten the studies before, too; no study is held for it."""
    small_studies(door, 3, images=1)
    door.tick()
    last = door.studies()[2].study
    with failing_to_begin(monkeypatch, {last}, _fill_the_disk):
        door.settle()
    states = {one.study: one.state for one in door.studies()}
    assert states.pop(last) == "COMPLETE"
    assert set(states.values()) == {"RELEASED"}
    door.settle()
    assert {one.state for one in door.studies()} == {"RELEASED"}


def _fill_the_disk(transaction: Transaction, study_id: str) -> None:
    """Let SQLite meet a full disk: it undoes the transaction, and raises."""
    ask = transaction.conn.exec_driver_sql
    pages = ask("PRAGMA page_count").scalar_one()
    ask(f"PRAGMA max_page_count = {pages + 20}")
    try:
        ask("UPDATE study SET reason = ? WHERE id = ?", ("x" * 3_000_000, study_id))
    finally:
        ask("PRAGMA max_page_count = 1000000")


def test_outcomes_that_cannot_be_recorded_stop_no_other_study(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts as a death of its worker, which ends in quarantine; the others are recorded."""
    small_studies(door, 4, images=1)
    door.tick()
    bad = door.studies()[1].study
    real = recording.record_outcomes

    def record(transaction: Transaction, work: Work, outcomes: Sequence[Outcome]) -> bool:
        trouble = real(transaction, work, outcomes)
        if work.study == bad:
            raise ZeroDivisionError
        return trouble

    monkeypatch.setattr(recording, "record_outcomes", record)
    door.settle()
    states = {one.study: one.state for one in door.studies()}
    assert states.pop(bad) == "HELD"
    assert set(states.values()) == {"RELEASED"}
    assert "role_failed" in door.events(bad)


@pytest.mark.parametrize(
    ("error", "state"), [(ZeroDivisionError(), "HELD"), (OSError(5, ""), "PROCESSING")]
)
@pytest.mark.parametrize("step", ["why_held", "publish"])
def test_a_study_that_cannot_be_closed_stops_no_other(
    door: Door, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception, state: str
) -> None:
    """They are judged in one transaction; a bug holds its study, a failing disk is tried again."""
    small_studies(door, 5, images=2)
    door.tick()
    bad = door.studies()[2].study
    real = getattr(closing, step)

    def fail(place: Workplace, *rest: Any) -> Any:
        if any(one.study.id == bad for one in rest if isinstance(one, Finished)):
            raise error
        return real(place, *rest)

    monkeypatch.setattr(closing, step, fail)
    door.settle()
    states = {one.study: one.state for one in door.studies()}
    assert states.pop(bad) == state
    assert set(states.values()) == {"RELEASED"}
    monkeypatch.setattr(closing, step, real)
    if state == "HELD":
        door.decide("requeue", bad)
    door.settle()
    assert {one.state for one in door.studies()} == {"RELEASED"}
    assert check_chain(door.outbox.releases, door.place.signing_key.public_key()) == ()


def test_a_row_that_cannot_be_written_when_its_study_is_out_stops_no_other(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are out, the others are recorded, and that one is at the next tick."""
    small_studies(door, 5, images=2)
    door.tick()
    bad = door.studies()[2].study
    real = closing.record_release

    def record(place: Workplace, transaction: Transaction, row: Any) -> None:
        real(place, transaction, row)
        if row.id == bad:
            raise ZeroDivisionError

    monkeypatch.setattr(closing, "record_release", record)
    door.settle()
    assert len(door.releases()) == 5
    states = {one.study: one.state for one in door.studies()}
    assert states.pop(bad) == "PROCESSING"
    assert set(states.values()) == {"RELEASED"}
    monkeypatch.setattr(closing, "record_release", real)
    door.settle()
    assert {one.state for one in door.studies()} == {"RELEASED"}


def test_a_transaction_that_a_full_disk_undid_is_undone_for_all(door: Door) -> None:
    """SQLite has forgotten the studies before: none of them is told, and none after is written."""
    small_studies(door, 3, images=1)
    door.tick()
    first, second, third = (one.study for one in door.studies())

    def write(transaction: Transaction, study: str, size: int) -> None:
        with transaction.part():
            reason = "x" * size
            transaction.conn.exec_driver_sql(
                "UPDATE study SET reason = ? WHERE id = ?", (reason, study)
            )
            transaction.tell("study_held", study)

    def write_all() -> None:
        with door.place.transaction() as transaction:
            write(transaction, first, 10)
            pages = transaction.conn.exec_driver_sql("PRAGMA page_count").scalar_one()
            transaction.conn.exec_driver_sql(f"PRAGMA max_page_count = {pages + 20}")
            with suppress(Exception):  # as the steps do that forgive one study
                write(transaction, second, 3_000_000)
            write(transaction, third, 10)

    with pytest.raises(OperationalError, match="full"):
        write_all()
    assert [one.reason for one in door.studies()] == ["", "", ""]
    assert not any("study_held" in door.events(one.study) for one in door.studies())
