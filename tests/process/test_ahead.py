"""What has arrived is made while the rest arrives, and nothing is decided by that."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from node.pool import PoolBroken
from node.process import ahead, beginning, jobs, role, yielding
from node.process.worker import treat_all
from tests.factories import make_instance, patient_id
from tests.process import scripted
from tests.process.conftest import Door

ENOUGH = ahead.LEAST


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin at once, and throw away at once what nobody needs."""
    monkeypatch.setattr(ahead, "LULL_SECONDS", 0.0)
    monkeypatch.setattr(ahead, "SWEEP_SECONDS", 0.0)


def arrive(door: Door, count: int = ENOUGH, first: int = 1, **facts: str) -> list[str]:
    """Let some images of one study arrive."""
    images = [make_instance(instance=number) for number in range(first, first + count)]
    for image in images:
        for keyword, value in facts.items():
            setattr(image, keyword, value)
    return door.arrive(*images)


def give_way_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """End workers ahead as soon as somebody waits for them."""
    monkeypatch.setattr(yielding, "SECONDS", 0.0)
    monkeypatch.setattr(yielding, "SECONDS_EACH", 0.0)


def treated(door: Door) -> Counter[str]:
    """Count how often each instance was given to a worker."""
    return Counter(file.instance for message in door.pool.started for file in message.files)


def test_what_arrived_is_made_early_and_once(door: Door) -> None:
    """The study stays as it is until it is complete; then no worker is needed any more."""
    names = arrive(door)
    door.tick(3)
    assert treated(door) == Counter(names)
    assert (door.study().state, door.study().total) == ("RECEIVING", 0)
    assert set(door.states().values()) == {"RECEIVED"}
    late = arrive(door, 2, first=ENOUGH + 1)
    door.settle()
    assert treated(door) == Counter(names + late), "each once"
    assert (door.study().state, door.study().released) == ("RELEASED", ENOUGH + 2)
    assert list(door.outbox.staging.iterdir()) == []


def test_few_wait_for_more(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job for one image would cost more than it saves while others are on their way."""
    monkeypatch.setattr(ahead, "QUIET_SECONDS", 1000.0)
    arrive(door, ENOUGH - 1)
    door.tick(3)
    assert door.pool.started == []


def test_receiving_comes_first(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """While instances arrive, nobody works at what came just now, and one worker at the rest."""
    monkeypatch.setattr(ahead, "LULL_SECONDS", 1000.0)
    monkeypatch.setattr(ahead, "PATIENCE_SECONDS", 1000.0)
    names = arrive(door, 4 * ENOUGH)
    door.tick(3)
    assert door.pool.started == []
    monkeypatch.setattr(ahead, "PATIENCE_SECONDS", 0.0)
    door.pool.hold = True
    door.tick(3)
    assert len(door.pool.started) == 1
    door.pool.hold = False
    door.tick(3)
    assert treated(door) == Counter(names)


def test_another_recipe_at_completion_makes_everything_anew(
    make_door: Callable[..., Door],
) -> None:
    """Which route a study takes is known when it is complete; what was made for another goes."""
    routes = [
        {"name": "ct", "modality": "CT", "destinations": ["a"]},
        {"name": "mr", "modality": "MR", "destinations": ["b"], "default_issuer": "other"},
    ]
    door = make_door(
        completion={"quiet_seconds": 10, "max_seconds": 1000},
        routes=[routes[1], routes[0]],
        destinations=[{"name": name, "type": "folder", "path": f"/{name}"} for name in "ab"],
    )
    names = arrive(door)
    door.tick(2)
    assert treated(door) == Counter(names)
    other = make_instance(instance=99, modality="MR", series=2)
    names += door.arrive(other)
    door.settle()
    assert treated(door) == Counter(names) + Counter(names[:ENOUGH])
    assert (door.study().route, door.study().released) == ("mr", ENOUGH + 1)


def test_a_rejected_study_leaves_nothing_in_staging(door: Door) -> None:
    """What was made for a generation that never came is thrown away."""
    arrive(door)
    door.tick(2)
    assert len(list(door.outbox.staging.glob("*/*.dcm"))) == ENOUGH
    door.decide("reject", door.study().study)
    arrive(door, 1, first=50)
    door.tick(3)
    assert door.study().state == "REJECTED"
    assert list(door.outbox.staging.iterdir()) == []


def test_a_denied_patient_is_not_worked_at(make_door: Callable[..., Door], tmp_path: Path) -> None:
    """The lists of the route are asked before the first job."""
    deny = tmp_path / "deny.csv"
    deny.write_text(f"issuer,patient_id\n,{patient_id(1)}\n")
    door = make_door(
        completion={"quiet_seconds": 10, "max_seconds": 1000},
        routes=[{"name": "r", "destinations": ["a"], "patients_deny": str(deny)}],
        destinations=[{"name": "a", "type": "folder", "path": "/a"}],
    )
    arrive(door)
    door.settle()
    assert door.pool.started == []
    assert door.study().state == "REJECTED"


def test_a_run_that_ends_loses_what_it_knew_and_nothing_else(door: Door) -> None:
    """Known in memory only: after a restart everything is made in its time."""
    names = arrive(door)
    door.tick(2)
    door.restart()
    assert list(door.outbox.staging.iterdir()) == []
    door.settle()
    assert treated(door) == Counter(names) + Counter(names)
    assert (door.study().state, door.study().released) == ("RELEASED", ENOUGH)


def test_a_run_that_ends_with_a_worker_ahead_goes_on(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its job's row goes; its instances wait for their study, their attempt counted."""

    class Collapse(BaseException):
        pass

    def collapse(_message: object) -> None:
        raise Collapse

    arrive(door)
    monkeypatch.setattr(jobs, "treat_all", collapse)
    with pytest.raises(Collapse):
        door.tick()
    monkeypatch.setattr(jobs, "treat_all", treat_all)
    door.restart()
    assert {row.attempts for row in door.instances().values()} == {1}
    door.settle()
    assert (door.study().state, door.study().released) == ("RELEASED", ENOUGH)


def test_an_instance_that_kills_its_worker_is_found_all_the_same(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first death was ahead and counts."""
    names = arrive(door)
    monkeypatch.setattr(jobs, "treat_all", scripted.deaths({names[3]}))
    door.tick(2)
    assert {row.attempts for row in door.instances().values()} == {1}
    door.settle()
    states = door.states()
    assert states.pop(names[3]) == "QUARANTINED"
    assert set(states.values()) == {"DEIDENTIFIED"}


def test_a_generation_waits_for_the_worker_that_is_ahead_with_it(door: Door) -> None:
    """Two workers would write the same files."""
    names = arrive(door)
    door.pool.hold = True
    door.tick()
    door.clock.time += 20
    door.tick(3)
    assert door.study().state == "COMPLETE"
    door.pool.hold = False
    door.settle()
    assert treated(door) == Counter(names)
    assert door.study().state == "RELEASED"


def test_a_full_disk_ahead_is_nobodys_fault(door: Door) -> None:
    """The attempt is taken back, and the instances are made when their study is complete."""
    names = arrive(door, SeriesDescription="full disk")
    door.tick(2)
    assert treated(door) == Counter(names)
    assert {row.attempts for row in door.instances().values()} == {0}


def test_what_a_worker_found_ahead_decides_at_its_time(door: Door) -> None:
    """A quarantined instance and a leak are recorded when the generation begins, not before."""
    names = arrive(door, SeriesDescription="leak")
    (bad,) = arrive(door, 1, first=60, SeriesDescription="quarantine")
    door.tick(2)
    assert set(door.states().values()) == {"RECEIVED"}
    door.settle()
    assert treated(door) == Counter([*names, bad])
    assert (door.study().state, door.states()[bad]) == ("HELD", "QUARANTINED")


def test_another_version_that_comes_later_is_a_conflict_still(door: Door) -> None:
    """The first was made ahead; a person decides which is right."""
    arrive(door)
    door.tick(2)
    changed = make_instance(instance=1)
    changed.SeriesNumber = 77
    door.arrive(changed)
    door.settle()
    assert door.study().state == "HELD"
    assert "differ" in door.study().reason


def test_a_study_rejected_while_a_worker_is_ahead_leaves_no_files(door: Door) -> None:
    """What the worker made of it in the meantime goes with it."""
    arrive(door)
    door.pool.hold = True
    door.tick()
    door.decide("reject", door.study().study)
    door.tick()
    door.pool.hold = False
    door.tick(5)
    assert door.study().state == "REJECTED"
    assert list(door.outbox.staging.iterdir()) == []


def test_a_pool_that_broke_once_is_worked_ahead_with_again(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that was never started is nobody's job."""

    def broken(*_: object) -> None:
        raise PoolBroken("no process could be started")

    arrive(door)
    with monkeypatch.context() as patch:
        patch.setattr(door.pool, "start", broken)
        door.tick()
    assert not door.run.ahead.active


def test_a_worker_that_gets_no_time_gives_way_to_its_own_study(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine spare time may never come: the study is made as if nobody were ahead."""
    give_way_at_once(monkeypatch)
    names = arrive(door)
    door.pool.hold = True
    door.tick(2)
    door.clock.time += 20
    door.tick(2)
    door.pool.hold = False
    door.settle()
    assert treated(door) == Counter(names + names)
    assert {row.attempts for row in door.instances().values()} == {1}, "that of the job that counts"
    assert (door.study().state, door.study().released) == ("RELEASED", ENOUGH)
    assert "worker_died" not in door.events()


def test_workers_ahead_leave_their_slots_to_a_complete_study(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a slot in which a worker waits for spare time."""
    give_way_at_once(monkeypatch)
    monkeypatch.setattr(ahead, "QUIET_SECONDS", 1000.0)
    door.pool.slots = 1
    door.arrive(make_instance(patient=2))
    door.tick()
    (small,) = door.studies()
    door.pool.hold = True
    arrive(door)
    door.tick()
    assert not door.pool.free
    door.decide("complete", small.study)
    door.tick(3)
    door.pool.hold = False
    door.tick(3)
    states = {one.study == small.study: one.state for one in door.studies()}
    assert states == {True: "RELEASED", False: "RECEIVING"}


@pytest.mark.parametrize("seconds", [0.0, 1000.0])
def test_a_worker_that_is_ahead_with_much_has_longer_to_end(
    door: Door, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """All that it did is lost when it is ended, so its time grows with the images that it has."""
    monkeypatch.setattr(yielding, "SECONDS", 0.0)
    monkeypatch.setattr(yielding, "SECONDS_EACH", seconds / ENOUGH)
    names = arrive(door)
    door.pool.hold = True
    door.tick(2)
    door.clock.time += 20
    door.tick(2)
    assert door.study().state == "COMPLETE"
    assert [not one.death for one in door.pool.ended] == [seconds > 0.0]
    door.pool.hold = False
    door.settle()
    assert treated(door) == Counter(names if seconds else names + names)
    assert (door.study().state, door.study().released) == ("RELEASED", ENOUGH)


def test_a_beginning_that_is_undone_loses_nothing_that_was_made(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full as the study began: it begins again, and no worker does anything twice."""
    monkeypatch.setattr(role, "TROUBLE_SECONDS", 0.0)
    names = arrive(door)
    door.tick(2)
    with monkeypatch.context() as patch:
        patch.setattr(beginning, "queue_jobs", raising(OSError(errno.ENOSPC, "disk full")))
        door.clock.time += 20
        door.tick(3)
        assert door.study().state == "COMPLETE"
    door.settle()
    assert treated(door) == Counter(names)
    assert (door.study().state, door.study().released) == ("RELEASED", ENOUGH)
    assert not door.run.ahead.made


def test_a_study_that_could_not_begin_leaves_nothing_in_staging(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was made for the generation that nobody could begin is thrown away."""
    monkeypatch.setattr(beginning, "queue_jobs", raising(ZeroDivisionError()))
    arrive(door)
    door.tick(2)
    assert len(list(door.outbox.staging.glob("*/*.dcm"))) == ENOUGH
    door.clock.time += 20
    door.tick(3)
    assert door.study().state == "HELD"
    assert list(door.outbox.staging.iterdir()) == []


def test_what_was_made_is_forgotten_once_its_study_has_begun(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study that is made anew gets new outcomes, however soon that is."""
    names = arrive(door, SeriesDescription="leak")
    door.tick(3)
    monkeypatch.setattr(ahead, "SWEEP_SECONDS", 1000.0)
    door.settle()
    assert door.study().state == "HELD"
    assert not door.run.ahead.made
    door.decide("requeue", door.study().study)
    door.settle()
    assert treated(door) == Counter(names + names)


def raising(error: Exception) -> Callable[..., None]:
    """Give a function that always raises this."""

    def fail(*_: object) -> None:
        raise error

    return fail
