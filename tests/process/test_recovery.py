"""A run may end anywhere; the next one goes on from files and rows."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from node import disk
from node.inbox.states import StudyState
from node.inbox.tables import study as study_table
from node.outbox.manifest import read_manifest
from node.process import adoption, release
from tests.factories import instance_uid, make_instance
from tests.process.conftest import Door, put_arrived


class PowerCut(BaseException):
    """The run ends here."""


def cut(*_arguments: object, **_keywords: object) -> None:
    """End the run."""
    raise PowerCut


def test_a_file_with_a_row_that_was_not_moved_yet_is_only_moved(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between rows and renames counts no instance twice and loses none."""
    door.arrive(*(make_instance(instance=number) for number in range(3)))
    monkeypatch.setattr(adoption, "_move_files", cut)
    with pytest.raises(PowerCut):
        door.tick()
    monkeypatch.undo()
    assert len(list(door.inbox.arrived.iterdir())) == 3
    door.restart()
    door.tick()
    assert (door.study().received, list(door.inbox.arrived.iterdir())) == (3, [])


def test_a_name_that_is_taken_is_never_overwritten(door: Door) -> None:
    """Of two files of one name, which only a copy by hand can make, the later gets another."""
    (name,) = door.arrive(make_instance(instance=1))
    door.tick()
    put_arrived(door.inbox, name, make_instance(instance=2))
    before = (door.inbox.studies / door.study().study / f"{name}.dcm").read_bytes()
    door.tick()
    assert (door.inbox.studies / door.study().study / f"{name}.dcm").read_bytes() == before
    assert door.conservation()["received"] == 2
    door.tick()
    assert list(door.inbox.arrived.iterdir()) == []
    put_arrived(door.inbox, name, make_instance(instance=3))
    door.tick(2)
    assert (door.study().received, len(door.instances())) == (3, 3)
    assert {row.sop_instance_uid for row in door.instances().values()} == {
        instance_uid(1, 1, 1, number) for number in (1, 2, 3)
    }


def test_a_release_without_its_row_is_recorded_and_not_made_again(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rename is the release; a crash right after it changes nothing of it."""
    door.arrive(make_instance())
    monkeypatch.setattr("node.process.closing.record_release", cut)
    with pytest.raises(PowerCut):
        door.settle()
    (name,) = door.releases()
    before = (door.outbox.releases / name / "manifest.json").read_bytes()
    monkeypatch.setattr("node.process.closing.record_release", release.record_release)
    door.restart()
    door.settle()
    assert (door.study().state, door.study().released, door.releases()) == ("RELEASED", 1, [name])
    assert (door.outbox.releases / name / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("step", ["_name_files", "_write_manifest"])
def test_a_release_in_the_making_is_finished(
    door: Door, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A crash in the midst of staging is gone over again."""
    real = getattr(release, step)

    def do_and_cut(*arguments: object) -> None:
        real(*arguments)
        raise PowerCut

    door.arrive(make_instance(instance=1), make_instance(instance=2))
    monkeypatch.setattr(release, step, do_and_cut)
    with pytest.raises(PowerCut):
        door.settle()
    monkeypatch.setattr(release, step, real)
    door.restart()
    door.settle()
    assert (door.study().state, door.study().released) == ("RELEASED", 2)


def test_a_staged_file_that_is_lost_is_made_anew(door: Door) -> None:
    """Rows never outweigh files."""
    door.arrive(make_instance(instance=1), make_instance(instance=2))
    held = make_instance(instance=3)
    held.SeriesDescription = "look"
    door.arrive(held)
    door.settle()
    staged = sorted((door.outbox.staging / f"{door.study().study}-g1").iterdir())
    staged[0].unlink()
    door.decide("release", door.study().study, override=True, why="seen")
    door.settle()
    assert (door.study().state, door.study().released) == ("RELEASED", 3)


def test_the_job_of_a_dead_run_is_done_again(door: Door) -> None:
    """A job that was with a worker when the role died is queued again, with its attempt counted."""
    door.arrive(make_instance())
    door.pool.hold = True
    door.settle()
    assert door.study().done == 0
    door.pool.hold = False
    door.restart()
    door.settle()
    (row,) = door.instances().values()
    assert (row.state, row.attempts) == ("DEIDENTIFIED", 2)


def test_a_restart_does_not_restart_the_quiet_time(door: Door) -> None:
    """Quiet time goes on while the role is down."""
    door.arrive(make_instance())
    door.tick()
    door.clock.time += 9
    door.restart()
    door.clock.time += 2
    door.tick(5)
    assert door.study().state == "RELEASED"


def test_staging_of_dead_runs_is_cleaned_and_that_of_held_studies_kept(door: Door) -> None:
    """What nobody needs goes at start; what waits for a person stays."""
    held = make_instance()
    held.SeriesDescription = "look"
    door.arrive(held)
    door.settle()
    (door.outbox.staging / "stale-g1").mkdir()
    (door.outbox.staging / "stale-g1" / "1.dcm").write_bytes(b"")
    door.restart()
    assert [path.name for path in door.outbox.staging.iterdir()] == [f"{door.study().study}-g1"]


def test_a_decision_that_was_recorded_before_a_crash_is_not_applied_twice(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row says that it was applied; the next run only marks the file."""
    door.arrive(make_instance())
    door.tick()
    door.decide("complete", door.study().study)
    monkeypatch.setattr("node.process.deciding.mark", cut)
    with pytest.raises(PowerCut):
        door.tick()
    monkeypatch.undo()
    with door.place.index.begin() as conn:  # as if it had had its effect long ago
        conn.execute(update(study_table).values(complete_now=False))
    door.restart()
    door.tick()
    assert door.study().state == StudyState.RECEIVING
    assert [path.suffixes for path in door.inbox.decisions.iterdir()] == [[".applied", ".json"]]


def test_files_are_synced_before_names_and_names_before_the_next_step(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest's folder is durable before the rename, and the rename before its row."""
    steps: list[str] = []
    real_sync, real_rename, real_record = (
        disk.fsync_dir,
        disk.rename_noreplace,
        release.record_release,
    )
    monkeypatch.setattr(
        disk, "fsync_dir", lambda path: (steps.append(f"sync {path.name}"), real_sync(path))
    )
    monkeypatch.setattr(
        disk,
        "rename_noreplace",
        lambda one, two: (steps.append(f"rename to {two.parent.name}"), real_rename(one, two)),
    )
    monkeypatch.setattr(
        "node.process.closing.record_release",
        lambda *arguments: (steps.append("row"), real_record(*arguments)),
    )
    door.arrive(make_instance())
    door.settle()
    name = door.releases()[0]
    last = steps[steps.index("rename to releases") - 1 :]
    assert last == [
        f"sync {name}", "rename to releases", "sync releases", "sync staging", "row",
    ]  # fmt: skip


def test_a_generation_is_made_by_one_profile(
    make_door: Callable[..., Door], tmp_path: Path
) -> None:
    """When the profile changes before the release, what was done by the old one is done anew."""
    profile = tmp_path / "site.toml"
    profile.write_text('base = "basic"\n')
    config = {
        "completion": {"quiet_seconds": 10, "max_seconds": 1000},
        "routes": [{"name": "r", "destinations": ["delivered"], "profile": str(profile)}],
    }
    door = make_door(**config)
    door.arrive(make_instance(instance=1), make_instance(instance=2))
    door.tick()
    door.clock.time += 20
    door.tick()  # adopted, begun and with the workers
    door.tick()
    before = door.place.recipes["r"].profile.digest
    with door.place.index.begin() as conn:  # as if the run had ended before the release
        conn.execute(update(study_table).values(state="PROCESSING"))
        conn.exec_driver_sql("UPDATE instance SET released = 0")
        conn.exec_driver_sql("UPDATE generation SET released_at = NULL")
    for path in door.outbox.releases.iterdir():
        path.rename(door.outbox.staging / path.name)
    profile.write_text('base = "basic"\n[pseudonyms]\nprefix = "Q"\n')
    door.restart(**config)
    door.settle()
    assert door.place.recipes["r"].profile.digest != before
    manifest = read_manifest(
        door.outbox.releases / door.releases()[0], door.place.signing_key.public_key()
    )
    assert manifest.profile_digest == door.place.recipes["r"].profile.digest
    assert {row.attempts for row in door.instances().values()} == {2}


def test_a_study_that_nobody_foresaw_is_held_and_stops_no_other(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in the last step is one study's, and a person sees it."""
    real = release.publish

    def publish(place: object, chain: object, row: Any, sound: Any) -> Any:
        if len(sound.members) == 2:
            raise ZeroDivisionError
        return real(place, chain, row, sound)  # type: ignore[arg-type]

    monkeypatch.setattr("node.process.closing.publish", publish)
    door.arrive(make_instance(study=1, instance=1), make_instance(study=1, instance=2))
    door.arrive(make_instance(study=2))
    door.settle()
    assert {study.state: study.reason for study in door.studies()} == {
        "HELD": "unforeseen ZeroDivisionError", "RELEASED": "",
    }  # fmt: skip


def test_a_release_that_the_disk_refuses_is_tried_again(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No space for a manifest is no fault of the study."""
    real = disk.write_durably

    def full(*_arguments: object, **_keywords: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    door.arrive(make_instance())
    monkeypatch.setattr(disk, "write_durably", full)
    door.settle()
    assert door.study().state == "PROCESSING"
    monkeypatch.setattr(disk, "write_durably", real)
    door.settle()
    assert door.study().state == "RELEASED"
