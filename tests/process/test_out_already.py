"""The rename is the release: whatever fails after it, nobody can decide otherwise any more."""

from __future__ import annotations

import errno
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from node import disk
from node.inbox.tables import instance
from node.outbox.chain import check_chain
from node.outbox.manifest import ReleasedInstance, read_manifest, sign
from node.process import release
from tests.factories import make_instance
from tests.process.conftest import Door

RECORD = "node.process.closing.record_release"


def listed(door: Door, name: str) -> tuple[ReleasedInstance, ...]:
    """Give what a release's manifest lists."""
    folder = door.outbox.releases / name
    return read_manifest(folder, door.place.signing_key.public_key()).instances


def database_locked(*_arguments: object) -> None:
    """Fail as SQLite does when its file cannot be written."""
    raise OperationalError("COMMIT", {}, sqlite3.OperationalError("database is locked"))


def nobody_foresaw(*_arguments: object) -> None:
    """Fail as a bug does."""
    raise ZeroDivisionError


def release_without_row(door: Door, monkeypatch: pytest.MonkeyPatch, failure: object) -> str:
    """Let a generation be renamed into the releases, and its row never be written."""
    door.arrive(make_instance(instance=1), make_instance(instance=2))
    monkeypatch.setattr(RECORD, failure)
    door.settle()
    assert (door.study().released, len(door.releases())) == (0, 1)
    return door.study().study


@pytest.mark.parametrize("failure", [database_locked, nobody_foresaw])
def test_what_is_out_is_never_held(
    door: Door, monkeypatch: pytest.MonkeyPatch, failure: object
) -> None:
    """An error after the rename leaves only the row to be written, and that is tried again."""
    study = release_without_row(door, monkeypatch, failure)
    assert door.study().state == "PROCESSING"
    first = min(door.instances())
    door.decide("exclude", study, instance=first)
    door.decide("requeue", study)
    door.decide("reject", study)
    door.tick(3)
    assert (door.study().state, door.events().count("decision_refused")) == ("PROCESSING", 3)
    monkeypatch.setattr(RECORD, release.record_release)
    door.settle()
    assert (door.study().state, door.study().released) == ("RELEASED", 2)
    assert len(listed(door, f"{study}-g1")) == 2


def test_an_instance_that_no_manifest_lists_is_not_released(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows follow the manifest: what it does not list goes out with the next generation."""
    study = release_without_row(door, monkeypatch, database_locked)
    (late,) = door.arrive(make_instance(instance=3), association="b000000000")
    door.tick(2)
    with door.place.index.begin() as conn:  # an index that says more than went out
        facts = conn.execute(select(instance.c.facts).where(instance.c.id != late)).scalar()
        conn.execute(
            update(instance)
            .where(instance.c.id == late)
            .values(state="DEIDENTIFIED", generation=1, output_sha256="other", facts=facts)
        )
    monkeypatch.setattr(RECORD, release.record_release)
    door.settle()
    door.settle()
    assert [len(listed(door, f"{study}-g{number}")) for number in (1, 2)] == [2, 1]
    assert {row.generation for row in door.instances().values()} == {1, 2}
    assert (door.study().state, door.study().released) == ("RELEASED", 3)


def test_a_number_that_lies_in_the_releases_is_not_taken_again(door: Door) -> None:
    """An index that was brought back from a backup knows less than the outbox."""
    door.arrive(make_instance(instance=1))
    door.settle()
    study = door.study().study
    key = door.place.signing_key
    first = read_manifest(door.outbox.releases / f"{study}-g1", key.public_key())
    (door.outbox.releases / f"{study}-g2").mkdir()
    forgotten = sign(replace(first, generation=2, sequence=2, instances=()), key)
    (door.outbox.releases / f"{study}-g2" / "manifest.json").write_bytes(forgotten)
    door.arrive(make_instance(instance=2), association="b000000000")
    door.settle()
    assert door.releases() == [f"{study}-g{number}" for number in (1, 2, 3)]


def test_a_rejection_that_waits_over_a_restart_comes_too_late_for_what_is_out(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row of a release is written before any decision is heard; originals stay."""
    study = release_without_row(door, monkeypatch, database_locked)
    monkeypatch.setattr(RECORD, release.record_release)
    door.decide("reject", study)
    door.restart()
    door.settle()
    assert (door.study().state, door.conservation()["rejected"]) == ("RELEASED", 0)
    assert "decision_refused" in door.events()
    assert len(list(door.inbox.studies.glob("*/*.dcm"))) == 2


def test_the_chain_goes_on_from_a_release_whose_folder_could_not_be_synced(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sequence number is taken with the rename, so no two manifests ever share one."""
    real, failed = disk.fsync_dir, []

    def fail_once(path: Path) -> None:
        if path == door.outbox.releases and not failed:
            failed.append(path)
            raise OSError(errno.EIO, "Input/output error")
        real(path)

    monkeypatch.setattr(disk, "fsync_dir", fail_once)
    door.arrive(make_instance(study=1), make_instance(study=2))
    door.settle()
    assert {study.state for study in door.studies()} == {"RELEASED"}
    assert check_chain(door.outbox.releases, door.place.signing_key.public_key()) == ()


def test_a_release_whose_manifest_cannot_be_trusted_holds_its_study_once(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forward refuses it by its name; a person moves it away, and it is made anew by another."""
    record = release.record_release

    def alter_first(place: Any, transaction: Any, row: Any) -> None:
        manifest = door.outbox.releases / f"{row.id}-g1" / "manifest.json"
        manifest.chmod(0o600)
        manifest.write_bytes(manifest.read_bytes().replace(b"CT", b"MR"))
        record(place, transaction, row)

    monkeypatch.setattr(RECORD, alter_first)
    door.arrive(make_instance())
    door.settle()
    door.tick(5)
    assert door.study().state == "HELD"
    assert "cannot be trusted" in door.study().reason
    assert door.events().count("study_held") == 1
    monkeypatch.setattr(RECORD, record)
    for moved_away in (False, True):
        if moved_away:
            (folder,) = door.outbox.releases.iterdir()
            folder.rename(door.outbox.root / folder.name)
        door.decide("requeue", door.study().study)
        door.settle()
        assert door.study().state == ("RELEASED" if moved_away else "HELD")
    assert door.releases() == [f"{door.study().study}-g2"]
    assert (door.study().released, door.study().generations) == (1, 1)
