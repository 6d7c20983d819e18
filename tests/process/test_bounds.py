"""What is bounded: large files at a time, words per second, and what a broken count costs."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from node.inbox import views
from node.inbox.tables import study, total
from node.process import ahead, audit, jobs, progress
from node.process.progress import Progress
from tests.factories import make_instance
from tests.process.conftest import Door


class Log:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, name: str, **facts: Any) -> None:
        """Keep an event."""
        self.told.append(("info", name, facts))

    def error(self, name: str, **facts: Any) -> None:
        """Keep an alarm."""
        self.told.append(("error", name, facts))


def workers(door: Door) -> dict[str, int]:
    """Give what is shown of workers and jobs."""
    with door.place.index.connect() as conn:
        return views.workers(conn)


def test_a_file_that_fills_the_memory_is_worked_at_alone(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A multi-frame of gigabytes waits until no other runs, and no other runs beside it."""
    monkeypatch.setattr(jobs, "BYTES_AT_ONCE", 3000)
    monkeypatch.setattr("node.process.chunks.CHUNK_BYTES", 1)
    door.arrive(make_instance(instance=1, rows=8), make_instance(instance=2, rows=64))
    door.tick()
    door.clock.time += 20
    door.pool.hold = True
    door.tick(3)
    assert len(door.pool.started) == 1, "the large one waits"
    door.pool.hold = False
    door.settle()
    assert (door.study().state, door.study().released) == ("RELEASED", 2)


def test_workers_are_true_while_one_works_ahead(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of a study that still receives is an active job like any other."""
    monkeypatch.setattr(ahead, "LULL_SECONDS", 0.0)
    assert workers(door) == {"totalWorkers": 0, "activeJobs": 0, "queuedJobs": 0}
    door.arrive(*(make_instance(instance=number) for number in range(ahead.LEAST)))
    door.pool.hold = True
    door.tick()
    assert workers(door) == {"totalWorkers": 1, "activeJobs": 1, "queuedJobs": 0}
    door.pool.hold = False
    door.settle()
    assert workers(door) == {"totalWorkers": 0, "activeJobs": 0, "queuedJobs": 0}


def test_progress_is_told_at_most_once_a_second_and_study(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is asked, and only where something was done; with rate and time left."""
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    door.arrive(*(make_instance(instance=number) for number in range(1, 9)))
    door.settle()
    log, telling = Log(), Progress()
    monkeypatch.setattr(progress, "log", log)
    with door.place.index.begin() as conn:
        conn.execute(update(study).values(state="PROCESSING", total=100))
    for tick in range(1, 41):  # four seconds
        now = 100.0 + tick / 10
        with door.place.index.begin() as conn:
            conn.execute(update(study).values(done=tick))
        telling.tell(door.place)
    now += 10
    telling.tell(door.place)
    telling.tell(door.place)
    assert 4 <= len(log.told) <= 6
    assert {(name, facts["total"]) for _, name, facts in log.told} == {("study_progress", 100)}
    paces = [(facts.get("per_second"), facts.get("seconds_left")) for _, _, facts in log.told]
    first, *later = paces[:4]
    assert first == (None, None)
    assert {rate for rate, _ in later} == {10.0}, "one instance in each tenth of a second"
    assert sorted(later, reverse=True) == later, "less and less is left"


def test_a_broken_count_is_an_alarm_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """`conservation_broken`, at the tick that sees it and not at each one after it."""
    log = Log()
    monkeypatch.setattr(audit, "log", log)
    door.arrive(make_instance())
    door.settle()
    with door.place.index.begin() as conn:
        conn.execute(update(total).values(released=total.c.released + 1))
    for number in range(2, 5):
        door.arrive(make_instance(study=number), association=f"{number:010d}")
        door.tick()
    assert [(level, name) for level, name, _ in log.told] == [("error", "conservation_broken")]
