"""What goes when its time is over, what stays, and what blocks it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from sqlalchemy import select
from structlog.testing import capture_logs

from node.inbox.tables import instance as instance_table
from node.inbox.tables import study as study_table
from node.outbox import decisions as delivery_decisions
from node.outbox.receipts import Receipt, write_receipt
from node.process import housekeeping, retention
from node.process.audit import Audit, check_next_study, check_totals
from node.process.retention import finish_purging, keep_times
from node.status.find import find_studies
from tests.factories import identifiers, make_instance
from tests.process.conftest import Door
from tests.process.test_deaths import described

DAY = 86400.0


@pytest.fixture(autouse=True)
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep house at every tick."""
    monkeypatch.setattr(housekeeping, "RETENTION_SECONDS", 0.0)
    monkeypatch.setattr(housekeeping, "AUDIT_SECONDS", 0.0)


def receipt(door: Door, number: int = 1) -> None:
    """Let forward say that a destination has a generation."""
    study = door.study().study
    write_receipt(
        door.outbox.receipts,
        Receipt(f"{study}-g{number}", "delivered", study, number, 1, False, "2026-01-01T00:00:00Z"),
    )


def decide_delivery(door: Door, kind: str, seconds: float = 2, heard: bool = True) -> None:
    """Let a person decide about a delivery, and forward apply it if it has heard."""
    when = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + seconds))
    path = delivery_decisions.write_decision(
        door.outbox.decisions,
        delivery_decisions.DeliveryDecision(
            kind=delivery_decisions.DecisionKind(kind), who="o", when=when, study=door.study().study
        ),
        time.time(),
    )
    if heard:
        delivery_decisions.file_away(path, refused=False)


def originals(door: Door) -> list[str]:
    """List the originals on disk."""
    return sorted(path.name for path in door.inbox.studies.glob("*/*.dcm"))


def rows_as_text(door: Door) -> str:
    """Give all that the index knows of studies and instances."""
    with door.place.index.connect() as conn:
        return repr([*conn.execute(select(study_table)), *conn.execute(select(instance_table))])


def test_originals_go_when_every_receipt_is_there_and_the_time_is_over(door: Door) -> None:
    """PHI leaves disk and rows; every count stays; an identical resend is still a duplicate."""
    dataset = make_instance()
    door.arrive(dataset)
    door.settle()
    door.tick(seconds=29 * DAY)
    receipt(door)
    assert len(originals(door)) == 1
    assert any(value in rows_as_text(door) for value in identifiers())
    assert find_studies(door.config, [dataset.AccessionNumber]) == [door.study().study]
    door.tick(seconds=2 * DAY)
    assert find_studies(door.config, [dataset.AccessionNumber]) == []
    assert {len(row.accession_digest) for row in door.instances().values()} == {32}
    assert originals(door) == []
    assert not [value for value in identifiers() if value in rows_as_text(door)]
    assert door.conservation()["released"] == 1
    door.arrive(dataset, association="b000000000")
    door.settle()
    assert door.study().duplicate == 1


def test_a_late_instance_finds_its_purged_study(door: Door) -> None:
    """The keyed digests know the study still; only the new instance has an original."""
    door.arrive(make_instance(instance=1))
    door.settle()
    receipt(door)
    door.tick(seconds=31 * DAY)
    (late,) = door.arrive(make_instance(instance=2), association="b000000000")
    door.settle()
    assert (door.study().generations, door.study().released) == (2, 2)
    assert originals(door) == [f"{late}.dcm"]
    door.decide("requeue", door.study().study, all_generations=True)
    door.tick()
    assert "decision_refused" in door.events()


def test_what_a_destination_has_not_got_is_kept(door: Door) -> None:
    """Without the receipt nothing goes, until a person gives the delivery up."""
    door.arrive(make_instance())
    door.settle()
    door.tick(seconds=1000 * DAY)
    assert len(originals(door)) == 1
    assert len(list(door.outbox.releases.glob("*/*.dcm"))) == 1
    decide_delivery(door, "abandon")
    door.tick()
    assert originals(door) == []
    assert list(door.outbox.releases.glob("*/*.dcm")) == []
    assert len(list(door.outbox.releases.glob("*/manifest.json"))) == 1


def test_an_original_without_an_outcome_is_never_purged(door: Door) -> None:
    """Whatever the state of its study says: its only copy is here."""
    door.arrive(make_instance(instance=1), make_instance(instance=2))
    door.settle()
    receipt(door)
    with door.place.index.begin() as conn:
        conn.exec_driver_sql(
            "UPDATE instance SET state = 'RECEIVED', released = 0 WHERE id LIKE '%2'"
        )
    door.tick(seconds=31 * DAY)
    assert len(originals(door)) == 2


def test_what_is_in_quarantine_is_kept_until_a_person_excludes_it(door: Door) -> None:
    """An original that could not be treated does not vanish because the rest went out."""
    (stuck, _good) = door.arrive(described("quarantine", instance=1), make_instance(instance=2))
    door.settle()
    receipt(door)
    door.tick(seconds=31 * DAY)
    assert (door.study().state, len(originals(door))) == ("RELEASED", 2)
    door.decide("exclude", door.study().study, instance=stuck)
    door.tick()
    assert (door.states()[stuck], originals(door), len(door.releases())) == ("EXCLUDED", [], 1)


def test_what_is_in_quarantine_goes_when_nothing_is_held_longer(
    make_door: Callable[..., Door],
) -> None:
    """`held_max_days` ends this, too."""
    completion = {"quiet_seconds": 10, "max_seconds": 1000}
    door = make_door(retention={"held_max_days": 60}, completion=completion)
    door.arrive(described("quarantine", instance=1), make_instance(instance=2))
    door.settle()
    receipt(door)
    door.tick(seconds=59 * DAY)
    assert len(originals(door)) == 2
    door.tick(seconds=2 * DAY)
    assert originals(door) == []


def test_originals_that_cannot_be_removed_are_told_and_stop_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PHI that stays on disk is an error in the log, and the next start tries again."""
    real = shutil.rmtree

    def refuse(*_arguments: object, **_keywords: object) -> None:
        raise PermissionError

    door.arrive(described("leak"))
    door.settle()
    monkeypatch.setattr(shutil, "rmtree", refuse)
    monkeypatch.setattr(retention, "log", structlog.get_logger())  # none that is bound already
    door.decide("reject", door.study().study)
    with capture_logs() as said:
        door.tick(2)
    assert len(originals(door)) == 1
    assert "storage_failed" in [one["event"] for one in said]
    monkeypatch.setattr(shutil, "rmtree", real)
    finish_purging(door.place)
    assert originals(door) == []


@pytest.mark.parametrize("heard", [True, False])
def test_what_is_to_be_sent_again_is_kept_whatever_was_decided_before(
    door: Door, heard: bool
) -> None:
    """A redelivery that is asked for un-settles what was given up, or has its receipt already."""
    door.arrive(make_instance())
    door.settle()
    if heard:
        decide_delivery(door, "abandon")
        decide_delivery(door, "redeliver", seconds=60)
    else:
        receipt(door)
        decide_delivery(door, "redeliver", heard=False)
    door.tick(2, seconds=95 * DAY)
    assert len(originals(door)) == 1
    assert len(list(door.outbox.releases.glob("*/*.dcm"))) == 1
    if heard:
        receipt(door)
    else:
        (path,) = delivery_decisions.waiting(door.outbox.decisions)
        delivery_decisions.file_away(path, refused=False)
    door.tick()
    assert originals(door) == []


def test_a_resend_after_its_release_was_purged_is_processed_anew(door: Door) -> None:
    """There is nothing left that it could be a duplicate of."""
    dataset = make_instance()
    door.arrive(dataset)
    door.settle()
    receipt(door)
    door.tick(seconds=100 * DAY)
    (again,) = door.arrive(dataset, association="b000000000")
    door.tick()
    assert door.instances()[again].reason == "sent again after its release was purged"
    door.settle()
    assert door.study().generations == 2


def test_a_resend_after_a_redelivery_was_asked_for_is_processed_anew_once(door: Door) -> None:
    """The research side wants it again: the next copy goes out, the one after is a duplicate."""
    dataset = make_instance()
    door.arrive(dataset)
    door.settle()
    decide_delivery(door, "redeliver")
    (again,) = door.arrive(dataset, association="b000000000")
    path = door.inbox.arrived / f"{again}.dcm"
    os.utime(path, (time.time() + 5, time.time() + 5))
    door.settle()
    assert door.study().generations == 2
    door.arrive(dataset, association="c000000000")
    door.settle()
    assert (door.study().generations, door.study().duplicate) == (2, 1)


def test_a_rejected_study_goes_at_the_next_tick_and_again_when_it_comes_again(door: Door) -> None:
    """No means no: originals and PHI go at once, whatever arrives later."""
    door.arrive(described("leak"))
    door.settle()
    door.decide("reject", door.study().study)
    door.tick(2)
    assert list(door.outbox.staging.iterdir()) == []
    door.arrive(make_instance(instance=2), association="b000000000")
    door.tick(2)
    assert originals(door) == []
    assert not [value for value in identifiers() if value in rows_as_text(door)]
    assert door.conservation()["rejected"] == 2


def test_files_of_a_purge_that_was_cut_short_go_at_the_next_start(door: Door) -> None:
    """Rows first, files second: what the rows no longer know is removed."""
    door.arrive(described("leak"))
    door.settle()
    door.decide("reject", door.study().study)
    door.tick(2)
    folder = door.inbox.studies / door.study().study
    folder.mkdir()
    (folder / "left.dcm").write_bytes(b"left")
    finish_purging(door.place)
    assert not folder.exists()


def test_what_is_held_long_is_told_again_and_may_end(make_door: Callable[..., Door]) -> None:
    """A warning every `held_warn_days`; with `held_max_days` the study is rejected in the end."""
    door = make_door(
        retention={"held_warn_days": 2, "held_max_days": 7},
        completion={"quiet_seconds": 10, "max_seconds": 1000},
    )
    door.arrive(described("leak"))
    door.settle()
    for _ in range(6):
        door.tick(seconds=DAY)
    assert door.events().count("study_held_long") == 3
    door.tick(seconds=2 * DAY)
    door.tick()
    assert (door.study().state, originals(door)) == ("REJECTED", [])


def test_a_count_that_is_not_its_rows_is_told(door: Door) -> None:
    """The audit finds a wrong total, a wrong count and a missing file, and tells each once."""
    door.arrive(make_instance(instance=1), make_instance(instance=2))
    door.settle()
    audit = Audit()

    def sound() -> Any:
        return check_totals(door.place, audit), check_next_study(door.place, audit)

    assert sound() == (True, True)
    with door.place.index.begin() as conn:
        conn.exec_driver_sql("UPDATE total SET released = released + 1")
    assert check_totals(door.place, audit) is False
    with door.place.index.begin() as conn:
        conn.exec_driver_sql("UPDATE total SET released = released - 1")
    assert check_totals(door.place, audit) is True
    audit.last = ""
    next(door.inbox.studies.glob("*/*.dcm")).unlink()
    assert check_next_study(door.place, audit) is False
    assert audit.told == {door.study().study}


def test_nothing_is_due_where_the_site_says_never(make_door: Callable[..., Door]) -> None:
    """0 is never."""
    retention = {"originals_days": 0, "released_days": 0, "held_warn_days": 0}
    door = make_door(retention=retention, completion={"quiet_seconds": 10, "max_seconds": 1000})
    door.arrive(make_instance())
    door.settle()
    receipt(door)
    door.clock.time += 10_000 * DAY
    keep_times(door.place)
    assert len(originals(door)) == 1
