"""What people decide about studies that are held, and what is refused to them."""

from __future__ import annotations

import json

import pytest

from node.inbox import views
from node.outbox.manifest import read_manifest
from node.process import deciding
from tests.factories import make_instance
from tests.process.conftest import Door
from tests.process.test_deaths import described


def decisions_of(door: Door) -> list[tuple[bool, str]]:
    """Give what came of each decision."""
    with door.place.index.connect() as conn:
        return [(one.applied, one.message) for one in views.decisions(conn, door.study().study)]


def test_an_override_needs_a_reason_and_the_manifest_tells_of_it(door: Door) -> None:
    """A study goes against a finding only with a reason, whose words stay in the inbox's zone."""
    door.arrive(described("leak"))
    door.settle()
    study = door.study().study
    door.decide("release", study)
    door.settle()
    door.decide("release", study, override=True)
    door.settle()
    assert (door.study().state, [applied for applied, _why in decisions_of(door)]) == (
        "HELD", [False, False],
    )  # fmt: skip
    door.decide("release", study, override=True, why="a coincidence")
    door.settle()
    assert door.study().state == "RELEASED"
    folder = door.outbox.releases / f"{study}-g1"
    manifest = read_manifest(folder, door.place.signing_key.public_key())
    assert manifest.overrides == (door.place.digests.of("a coincidence"),)
    assert b"coincidence" not in (folder / "manifest.json").read_bytes()


def test_an_override_is_for_its_generation_only(door: Door) -> None:
    """The next generation is judged again."""
    door.arrive(described("leak", instance=1))
    door.settle()
    door.decide("release", door.study().study, override=True, why="a coincidence")
    door.settle()
    door.arrive(described("leak", instance=2), association="b000000000")
    door.settle()
    assert (door.study().state, len(door.releases())) == ("HELD", 1)


def test_what_a_finding_is_about_can_be_left_out(door: Door) -> None:
    """Excluding the series with the finding lets the rest go, without an override."""
    leak, good = door.arrive(described("leak", series=1), make_instance(series=2))
    door.settle()
    door.decide("exclude", door.study().study, series=1)
    door.settle()
    assert door.states() == {leak: "EXCLUDED", good: "DEIDENTIFIED"}
    assert (door.study().state, door.study().released) == ("RELEASED", 1)
    assert len(list((door.outbox.releases / door.releases()[0]).glob("*.dcm"))) == 1


def test_an_instance_that_needs_a_person_can_be_left_out_by_its_id(door: Door) -> None:
    """What the engine would not treat can be excluded, never released."""
    stuck, good = door.arrive(described("hold", instance=1), make_instance(instance=2))
    door.settle()
    assert (door.study().state, door.study().reason) == ("HELD", "a person must look")
    door.decide("release", door.study().study, override=True, why="let it go")
    door.settle()
    assert door.study().state == "HELD"
    door.decide("exclude", door.study().study, instance=stuck)
    door.settle()
    assert door.states() == {stuck: "EXCLUDED", good: "DEIDENTIFIED"}


def test_a_requeued_study_is_made_anew_with_its_late_instances(door: Door) -> None:
    """`requeue` takes back every outcome that is not out, and chooses the route again."""
    door.arrive(described("look"))
    door.settle()
    door.arrive(make_instance(instance=2), association="b000000000")
    door.settle()
    assert door.study().waiting == 1
    door.decide("requeue", door.study().study)
    door.settle()
    study = door.study()
    assert (study.state, study.deidentified, study.waiting) == ("HELD", 2, 0)


def test_what_a_person_excluded_stays_out_when_the_study_is_made_anew(door: Door) -> None:
    """What a profile excluded is asked again; what a person did, only if they say so."""
    names = door.arrive(
        described("look"), make_instance(instance=2), described("exclude", instance=3)
    )
    door.settle()
    study = door.study().study
    door.decide("exclude", study, instance=names[1])
    door.settle()
    attempts = door.instances()[names[2]].attempts
    door.decide("requeue", study)
    door.settle()
    assert door.states()[names[1]] == door.states()[names[2]] == "EXCLUDED"
    assert door.instances()[names[1]].excluded_by == "operator"
    assert door.instances()[names[2]].attempts == attempts == 1, "asked again"
    door.decide("requeue", study, with_excluded=True)
    door.settle()
    assert door.states()[names[1]] == "DEIDENTIFIED"
    assert door.instances()[names[1]].excluded_by == ""


def test_all_generations_can_be_made_anew(door: Door) -> None:
    """`requeue --all-generations` releases the whole study again, as the next generation."""
    door.arrive(make_instance(instance=1))
    door.settle()
    door.arrive(make_instance(instance=2), association="b000000000")
    door.settle()
    door.decide("requeue", door.study().study, all_generations=True)
    door.settle()
    study = door.study()
    assert (study.state, study.generation, study.released) == ("RELEASED", 3, 2)
    folder = door.outbox.releases / f"{study.study}-g3"
    assert len(list(folder.glob("*.dcm"))) == 2


def test_a_study_can_be_completed_by_hand(door: Door) -> None:
    """`complete` waits no longer for instances."""
    door.arrive(make_instance())
    door.tick()
    door.decide("complete", door.study().study)
    door.tick(4)
    assert door.study().state == "RELEASED"


def test_a_rejected_study_leaves_nothing(door: Door) -> None:
    """`reject` ends a held study; nothing of it is staged or released."""
    door.arrive(described("leak"))
    door.settle()
    door.decide("reject", door.study().study)
    door.settle()
    assert (door.study().state, door.releases()) == ("REJECTED", [])


def test_decisions_about_the_wrong_state_are_refused_and_say_why(door: Door) -> None:
    """A refusal is recorded with its reason, and the file tells it, too."""
    door.arrive(make_instance())
    door.settle()
    door.decide("release", door.study().study)
    door.decide("release", "nosuch00")
    door.tick()
    assert decisions_of(door) == [(False, "the study is RELEASED, not HELD")]
    assert len(list(door.inbox.decisions.glob("*.refused.json"))) == 2


@pytest.mark.parametrize(
    "values",
    [{"series": 10**30}, {"series": -1}, {"why": "\ud800"}, {"instance": "\ud800"}, {"who": 5}],
)
def test_a_decision_with_an_impossible_value_is_refused_and_stops_nothing(
    door: Door, values: dict[str, object]
) -> None:
    """Whatever stands in the file, it is dealt with once, and the next decision is heard."""
    door.arrive(described("leak"))
    door.settle()
    study = door.study().study
    decision = {"kind": "exclude", "study": study, "who": "o", "when": "2026-03-04", **values}
    name = "20260304T050607Z-00000000"
    (door.inbox.decisions / f"{name}.json").write_text(json.dumps(decision))
    door.tick(2)
    assert [path.name for path in door.inbox.decisions.iterdir()] == [f"{name}.refused.json"]
    door.decide("exclude", study, series=1)
    door.tick()
    assert set(door.states().values()) == {"EXCLUDED"}


def test_a_file_that_is_no_decision_is_put_aside(door: Door) -> None:
    """A broken file among the decisions stops nothing."""
    (door.inbox.decisions / "20260304T050607Z-00000000.json").write_text("{}")
    door.tick()
    assert [path.name for path in door.inbox.decisions.iterdir()] == [
        "20260304T050607Z-00000000.refused.json"
    ]


def test_a_decision_that_nobody_foresaw_is_refused_and_stops_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in applying it is that decision's, and it is not tried for ever."""
    door.arrive(make_instance())
    door.tick()
    door.decide("complete", door.study().study)

    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(deciding, "_apply", fail)
    door.tick()
    assert len(list(door.inbox.decisions.glob("*.refused.json"))) == 1
    assert door.study().state == "RECEIVING"
