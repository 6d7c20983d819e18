"""The research PACS gets one version of an instance, whatever happens and whoever decides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import FileDataset

import node.deid
import node.validate
from node.inbox import views
from node.outbox.manifest import read_manifest
from node.process import worker
from tests.factories import make_instance, study_uid
from tests.process.conftest import Door
from tests.process.test_retention import decide_delivery


def released(door: Door) -> dict[str, list[str]]:
    """Give the digests of what went out, by new SOP Instance UID."""
    found: dict[str, list[str]] = {}
    for name in door.releases():
        folder = door.outbox.releases / name
        for one in read_manifest(folder, door.place.signing_key.public_key()).instances:
            found.setdefault(one.sop_instance_uid, []).append(one.sha256)
    return found


def refusals(door: Door) -> list[str]:
    """Give what was answered to decisions that could not be applied."""
    with door.place.index.connect() as conn:
        given = views.decisions(conn, door.study().study)
        return [one.message for one in given if not one.applied]


def version(number: int) -> FileDataset:
    """Make one instance's version: the same UID, other bytes."""
    return make_instance(rows=15 + number)


def in_another_study() -> FileDataset:
    """Make the factories' instance as another study and patient have it."""
    dataset = make_instance()
    dataset.StudyInstanceUID = study_uid(1, 2)
    dataset.PatientID = "MRN999999"
    return dataset


def test_the_latest_cannot_be_kept_once_the_first_is_out(door: Door) -> None:
    """A second version of what is out is refused; the first can be kept."""
    door.arrive(version(1))
    door.settle()
    door.arrive(version(2), association="b000000000")
    door.settle()
    study = door.study()
    assert "another version under the same SOP Instance UID" in study.reason
    door.decide("release", study.study, keep="latest")
    door.settle()
    assert refusals(door) == ["the first is out already: keep the first, or withdraw the study"]
    door.decide("release", study.study, keep="first")
    door.settle()
    assert (door.study().state, [len(one) for one in released(door).values()]) == ("RELEASED", [1])


@pytest.mark.parametrize(("keep", "which"), [("first", 0), ("latest", 2)])
def test_of_three_versions_exactly_one_goes_out(door: Door, keep: str, which: int) -> None:
    """The choice is made among all versions at once, not between pairs."""
    names = door.arrive(version(1), version(2), version(3))
    door.settle()
    assert door.study().state == "HELD"
    door.decide("release", door.study().study, keep=keep)
    door.settle()
    expected = dict.fromkeys(names, "EXCLUDED") | {names[which]: "DEIDENTIFIED"}
    assert (door.study().state, door.states()) == ("RELEASED", expected)


def test_versions_that_a_requeue_brings_back_are_chosen_from_again(door: Door) -> None:
    """What was left out and is made anew is in conflict again, and no override passes that."""
    door.arrive(version(1), version(2))
    look = make_instance(instance=2)
    look.SeriesDescription = "look"
    door.arrive(look)
    door.settle()
    study = door.study().study
    door.decide("release", study, keep="first")
    door.settle()
    door.decide("requeue", study)
    door.settle()
    door.decide("release", study, override=True, why="seen")
    door.settle()
    assert (door.study().state, released(door)) == ("HELD", {})
    door.decide("release", study, keep="latest", override=True, why="seen")
    door.settle()
    assert (door.study().state, len(released(door))) == ("RELEASED", 2)


def test_a_profile_that_changed_releases_nothing_a_second_time(
    make_door: Callable[..., Door], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made anew by another profile it has other bytes: only another domain gives other UIDs."""
    monkeypatch.setattr(worker, "deidentify", node.deid.deidentify)
    monkeypatch.setattr(worker, "validate", node.validate.validate)
    profile = tmp_path / "trial.toml"
    config: dict[str, Any] = {
        "completion": {"quiet_seconds": 10, "max_seconds": 1000},
        "routes": [{"name": "r", "destinations": ["delivered"], "profile": str(profile)}],
    }
    profile.write_text('base = "basic"\noptions = ["retain-patient-characteristics"]\n')
    door = make_door(**config)
    door.arrive(make_instance())
    door.settle()
    study = door.study().study
    profile.write_text('base = "basic"\n')
    door.restart(**config)
    door.decide("requeue", study, all_generations=True)
    door.settle()
    assert "another pseudonym domain" in door.study().reason
    door.decide("release", study, override=True, why="let it")
    door.settle()
    assert (door.study().state, len(door.releases())) == ("HELD", 1)
    profile.write_text('base = "basic"\n[pseudonyms]\ndomain = "second"\n')
    door.restart(**config)
    door.decide("requeue", study, all_generations=True)
    door.settle()
    assert (door.study().state, len(released(door))) == ("RELEASED", 2)


def test_an_instance_of_two_studies_goes_out_with_the_first(door: Door) -> None:
    """A PACS that files an instance anew under another study sends it again, UID and all."""
    door.arrive(make_instance())
    door.arrive(in_another_study(), association="b000000000")
    door.settle()
    later, first = sorted(door.studies(), key=lambda study: study.state)
    assert (later.state, first.state) == ("HELD", "RELEASED")
    assert f"of other studies ({first.study})" in later.reason
    door.decide("release", later.study, override=True, why="both are right")
    door.settle()
    assert [len(one) for one in released(door).values()] == [1]
    door.decide("exclude", later.study, series=1)
    door.settle()
    assert len(door.releases()) == 1


def test_an_instance_that_was_withdrawn_goes_out_with_the_other_study(door: Door) -> None:
    """The research side was told to remove the first: that is how a wrong patient is mended."""
    door.arrive(make_instance())
    door.settle()
    decide_delivery(door, "withdraw")
    door.arrive(in_another_study(), association="b000000000")
    door.settle()
    assert {study.state for study in door.studies()} == {"RELEASED"}


def test_a_study_that_waits_for_its_next_generation_is_not_released_again(door: Door) -> None:
    """`release` needs a generation that was de-identified and is not out yet."""
    door.arrive(make_instance(instance=1))
    door.settle()
    other = make_instance(instance=2)
    other.PatientID = "OTHER"
    (late,) = door.arrive(other, association="b000000000")
    door.settle()
    assert door.study().state == "HELD"
    door.decide("release", door.study().study)
    door.settle()
    assert refusals(door) == ["the study was held before it was de-identified: requeue it"]
    door.decide("exclude", door.study().study, instance=late)
    door.settle()
    assert (door.study().state, door.events().count("study_released")) == ("RELEASED", 1)
