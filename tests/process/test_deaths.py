"""Workers that die, and instances that cannot be treated: who is to blame, and who is not."""

from __future__ import annotations

import json

import pytest

from node.inbox import views
from node.pool import PoolBroken
from node.process import jobs
from node.process.worker import treat_all
from tests.factories import identifiers, make_instance
from tests.process import scripted
from tests.process.conftest import Door


def described(text: str, **ordinals: int) -> object:
    """Make an instance that tells the scripted engine what to answer."""
    dataset = make_instance(**ordinals)
    dataset.SeriesDescription = text
    return dataset


def test_one_instance_that_kills_its_worker_is_found_and_only_it_is_quarantined(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk is tried again, then halved, until the instance that kills is alone."""
    names = door.arrive(*(make_instance(instance=number) for number in range(40)))
    monkeypatch.setattr(jobs, "treat_all", scripted.deaths({names[17]}))
    door.settle()
    states = door.states()
    assert states.pop(names[17]) == "QUARANTINED"
    assert set(states.values()) == {"DEIDENTIFIED"}
    assert (door.study().state, door.study().released) == ("RELEASED", 39)
    most = max(row.attempts for row in door.instances().values())
    assert most <= door.config.process.max_attempts + 5


def test_attempts_are_on_disk_before_the_worker_starts(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that takes the whole role down with it has been counted."""

    class Collapse(BaseException):
        pass

    def collapse(_message: object) -> None:
        raise Collapse

    (name,) = door.arrive(make_instance())
    monkeypatch.setattr(jobs, "treat_all", collapse)
    with pytest.raises(Collapse):
        door.settle()
    door.restart()
    assert door.instances()[name].attempts == 1
    monkeypatch.setattr(jobs, "treat_all", treat_all)
    door.settle()
    assert door.study().state == "RELEASED"


def test_an_unforeseen_error_names_its_type_and_place_and_no_value(door: Door) -> None:
    """A bug on one instance quarantines that one; the story tells where, never what."""
    bad, good = door.arrive(described("fail", instance=1), make_instance(instance=2))
    door.settle()
    assert door.states() == {bad: "QUARANTINED", good: "DEIDENTIFIED"}
    assert door.instances()[bad].reason == "unforeseen ZeroDivisionError"
    with door.place.index.connect() as conn:
        story = views.timeline(conn, door.study().study)
    (event,) = [event for event in story if event.name == "instance_quarantined"]
    assert any("deidentify" in frame for frame in event.detail["stack"])
    assert not [value for value in identifiers() if value in json.dumps(event.detail)]


def test_a_full_disk_is_nobodys_fault(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the surroundings fail, nothing is blamed or given up; it goes on when they recover."""
    (name,) = door.arrive(described("full disk"))
    door.settle()
    assert (door.states(), door.instances()[name].attempts) == ({name: "RECEIVED"}, 0)
    monkeypatch.setattr(
        "node.process.worker.deidentify", lambda *_: (_ for _ in ()).throw(OSError(5, ""))
    )
    door.settle()
    assert door.states() == {name: "QUARANTINED"}, "an unreadable original is its own fault"


def test_no_memory_is_tried_again_alone_before_it_is_the_instances_fault(door: Door) -> None:
    """Memory may have been taken by the neighbours in the chunk."""
    names = door.arrive(
        described("no memory", instance=1), *(make_instance(instance=n) for n in range(2, 6))
    )
    door.settle()
    assert door.states() == {
        name: "QUARANTINED" if name == names[0] else "DEIDENTIFIED" for name in names
    }


def test_what_the_engine_and_the_validator_say_decides(door: Door) -> None:
    """Quarantined and excluded instances stay behind with their reason; the rest goes out."""
    quarantined, excluded, good = door.arrive(
        described("quarantine", instance=1),
        described("exclude", instance=2),
        make_instance(instance=3),
    )
    door.settle()
    assert door.states() == {
        quarantined: "QUARANTINED", excluded: "EXCLUDED", good: "DEIDENTIFIED",
    }  # fmt: skip
    assert (door.study().state, door.study().released) == ("RELEASED", 1)
    assert door.instances()[excluded].reason == "it says so"


def test_a_leak_holds_the_whole_study(door: Door) -> None:
    """One leak finding, and nothing of the study leaves."""
    door.arrive(described("leak", instance=1), make_instance(instance=2))
    door.settle()
    assert (door.study().state, door.releases()) == ("HELD", [])
    assert door.conservation()["held"] == 2


def test_a_study_of_which_nothing_is_left_is_held(door: Door) -> None:
    """An empty release would say that all went well."""
    door.arrive(described("exclude"))
    door.settle()
    assert (door.study().state, door.releases()) == ("HELD", [])
    assert door.conservation()["excluded"] == 1


def test_small_studies_do_not_wait_behind_a_large_one(door: Door) -> None:
    """A free slot goes to the study that has the fewest jobs with a worker."""
    door.arrive(*(make_instance(study=1, instance=number) for number in range(100)))
    door.tick()
    door.clock.time += 20
    door.pool.hold = True
    door.pool.slots = 1
    door.tick()
    door.arrive(make_instance(study=2), association="b000000000")
    door.clock.time += 1
    door.tick()
    door.decide("complete", door.studies()[0].study)
    door.tick()
    door.pool.slots = 2
    door.tick()
    assert door.pool.started[-1].files[0].instance.startswith("b000000000")


def test_a_worker_that_cannot_be_started_is_nobodys_fault(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process could be made: the job waits again, no attempt is counted, and it goes on."""

    def broken(*_: object) -> None:
        raise PoolBroken("no process could be started")

    door.arrive(make_instance())
    with monkeypatch.context() as patch:
        patch.setattr(door.pool, "start", broken)
        door.settle()
        assert door.study().state == "PROCESSING"
        assert {row.attempts for row in door.instances().values()} == {0}
    door.settle()
    assert (door.study().state, door.study().released) == ("RELEASED", 1)
