"""From arrived files to a release: the path that every study takes."""

from __future__ import annotations

import json
import stat

import pytest

from node.outbox.manifest import read_manifest
from node.process import adoption, role
from tests.factories import instance_uid, make_instance
from tests.process import scripted
from tests.process.conftest import Door


def test_a_study_that_is_quiet_is_released_with_a_manifest_of_its_files(door: Door) -> None:
    """All instances of a study end in one signed release, as read-only files by their new UIDs."""
    door.arrive(*(make_instance(instance=number) for number in range(1, 6)))
    door.settle()
    study = door.study()
    assert (study.state, study.done, study.total, study.released) == ("RELEASED", 5, 5, 5)
    assert door.releases() == [f"{study.study}-g1"]
    folder = door.outbox.releases / f"{study.study}-g1"
    manifest = read_manifest(folder, door.place.signing_key.public_key())
    assert {one.sop_instance_uid for one in manifest.instances} == {
        scripted.new_uid(instance_uid(1, 1, 1, number)) for number in range(1, 6)
    }
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json",
        *(f"{one.sop_instance_uid}.dcm" for one in manifest.instances),
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o440}
    assert manifest.destinations == ("delivered",)
    assert list(door.outbox.staging.iterdir()) == []


def test_originals_lie_by_study_and_are_not_touched(door: Door) -> None:
    """Adoption moves the file and changes no byte of it."""
    (name,) = door.arrive(make_instance())
    before = (door.inbox.arrived / f"{name}.dcm").read_bytes()
    door.settle()
    assert (door.inbox.studies / door.study().study / f"{name}.dcm").read_bytes() == before
    assert list(door.inbox.arrived.iterdir()) == []


def test_a_study_is_not_touched_before_its_quiet_time(door: Door) -> None:
    """An instance within the quiet time keeps the whole study waiting."""
    door.arrive(make_instance(instance=1))
    door.tick()
    door.clock.time += 9
    door.arrive(make_instance(instance=2))
    door.tick()
    door.clock.time += 9
    door.tick(3)
    assert (door.study().state, door.releases()) == ("RECEIVING", [])


def test_studies_do_not_mix(door: Door) -> None:
    """Instances go to the study that their Study Instance UID names, whatever the association."""
    door.arrive(*(make_instance(patient=1, study=number % 3 + 1) for number in range(9)))
    door.settle()
    assert sorted(study.received for study in door.studies()) == [3, 3, 3]
    assert len(door.releases()) == 3


def test_two_releases_are_links_of_one_chain(door: Door) -> None:
    """Each manifest names the one before it by number and digest, over a restart, too."""
    door.arrive(make_instance(study=1))
    door.settle()
    door.restart()
    door.arrive(make_instance(study=2), association="b000000000")
    door.settle()
    contents = [
        json.loads((door.outbox.releases / name / "manifest.json").read_text())["manifest"]
        for name in door.releases()
    ]
    first, second = sorted(contents, key=lambda content: content["sequence"])
    assert (first["sequence"], second["sequence"]) == (1, 2)
    assert (first["previous"], bool(second["previous"])) == ("", True)


def test_the_timeline_tells_what_happened_and_nothing_of_the_patient(door: Door) -> None:
    """A study's story is in its rows, in our own words and numbers."""
    door.arrive(make_instance())
    door.settle()
    assert door.events() == ["study_opened", "study_completed", "study_released"]
    assert door.study().reason == ""


def test_more_files_than_a_batch_are_adopted_before_the_study_completes(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backlog is one generation: a study does not complete while its files still lie unread."""
    monkeypatch.setattr(adoption, "BATCH", 20)
    monkeypatch.setattr(role, "BATCH", 20)
    dataset = make_instance(rows=1)
    for number in range(1, 23):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        door.arrive(dataset)
    door.tick()
    assert door.study().received == 20
    door.clock.time += 100
    door.settle()
    assert (door.study().generations, door.study().released) == (1, 22)


def test_conservation_balances_at_every_tick(door: Door) -> None:
    """What was received is at each moment the sum of what became of it."""
    door.arrive(*(make_instance(study=study, instance=n) for study in (1, 2) for n in range(4)))
    for _ in range(12):
        counts = door.conservation()
        assert counts.pop("received") == sum(counts.values()) == 8
        door.tick(seconds=5)
    assert counts["released"] == 8
