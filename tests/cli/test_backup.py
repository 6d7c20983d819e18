"""What a backup is: the node as of one moment, whatever moves while it is made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from node.cli import deid_node
from node.inbox.verify import verify_inbox
from node.outbox.ledger import open_ledger
from node.status import backup
from tests.factories import make_instance
from tests.process.conftest import Door, door, make_door, quiet_log, scripted_engine

__all__ = ["door", "make_door", "quiet_log", "scripted_engine"]
STATES = ["HELD", "PROCESSING", "RECEIVING", "REJECTED", "RELEASED"]


def arrive(node: Door, patient: int, description: str = "axial") -> None:
    """Let a study of two instances arrive that the scripted engine treats as its series says."""
    images = [make_instance(patient=patient, instance=number) for number in (1, 2)]
    for image in images:
        image.SeriesDescription = description
    node.arrive(*images, association=f"p{patient:09d}")


def state_of(node: Door, patient: int) -> str:
    """Tell the state of a patient's study."""
    (name,) = {row.study for row in node.instances().values() if row.id[:10] == f"p{patient:09d}"}
    return next(row.state for row in node.studies() if row.study == name)


@pytest.fixture
def busy(door: Door) -> Door:
    """Make a node with a study in every state; patient 4 is at work, 5 still comes."""
    open_ledger(door.outbox.database).dispose()
    arrive(door, 1)
    arrive(door, 2, "leak")
    arrive(door, 3, "leak")
    door.settle()
    rejected = next(row for row in door.instances().values() if row.id.startswith("p000000003"))
    door.decide("reject", rejected.study)
    door.settle()
    arrive(door, 4)
    door.tick()
    door.pool.hold = True
    door.tick(3, seconds=20)
    arrive(door, 5)
    door.tick()
    return door


def back(door: Door, folder: Path) -> None:
    """Lose everything but the keys, and have the backup in its place."""
    data = door.config.node.data_dir
    for zone in (door.inbox.root, door.outbox.root):
        shutil.rmtree(zone)
    shutil.copytree(folder, data, dirs_exist_ok=True)
    door.pool.hold = False
    door.restart()


def problems(door: Door) -> list[str]:
    """Verify the inbox."""
    with door.place.index.connect() as conn:
        return [str(problem) for problem in verify_inbox(door.inbox, conn)]


def test_each_state_comes_back_and_goes_on(busy: Door, tmp_path: Path) -> None:
    """What waited waits, what is out stays out, what was under way is done."""
    assert sorted({row.state for row in busy.studies()}) == STATES
    assert backup.back_up(busy.config, tmp_path / "monday") == []
    released = busy.releases()
    back(busy, tmp_path / "monday")
    assert problems(busy) == []
    assert busy.releases() == released
    busy.settle()
    states = [state_of(busy, patient) for patient in range(1, 6)]
    assert states == ["RELEASED", "HELD", "REJECTED", "RELEASED", "RELEASED"]
    assert problems(busy) == []


def test_what_moves_while_it_is_made_is_there_once(
    busy: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adopted, decided and released after the moment: all of it is as it was at the moment."""
    (held,) = [row.study for row in busy.studies() if row.state == "HELD"]
    copy = backup._copy_database

    def copy_and_go_on(source: Path, target: Path) -> None:
        copy(source, target)
        if source == busy.inbox.database:
            busy.pool.hold = False
            busy.decide("release", held, override=True, why="looked at")
            arrive(busy, 6)
            busy.settle()

    arrive(busy, 7)  # lies in arrived/ at the moment, and is adopted after it
    monkeypatch.setattr(backup, "_copy_database", copy_and_go_on)
    assert backup.back_up(busy.config, tmp_path / "monday") == []
    assert len(busy.releases()) == 6
    back(busy, tmp_path / "monday")
    assert len(busy.releases()) == 1
    assert problems(busy) == []
    busy.settle()
    assert problems(busy) == []
    assert {state_of(busy, patient) for patient in (1, 4, 5, 6, 7)} == {"RELEASED"}
    assert state_of(busy, 2) == "RELEASED"  # its decision was a file, and was heard again
    assert busy.conservation()["received"] == 14


def test_a_backup_holds_no_key_and_is_never_half_made(busy: Door, tmp_path: Path) -> None:
    """A stolen backup cannot tell pseudonyms; a folder that has the name is whole."""
    config = tmp_path / "node.toml"
    config.write_text(f'[node]\ndata_dir = "{busy.config.node.data_dir}"\n')
    target = tmp_path / "monday"
    arguments = ["backup", str(target), "-c", str(config)]
    done = CliRunner().invoke(deid_node, arguments)
    assert (done.exit_code, "keep" in done.output) == (0, True), done.output
    key = (busy.config.keys_dir / "pseudonym.key").read_bytes()
    assert not any(key in path.read_bytes() for path in target.rglob("*") if path.is_file())
    trail = (busy.inbox.audit / "people.jsonl").read_text().splitlines()
    assert json.loads(trail[-1])["what"] == "backed_up"
    again = CliRunner().invoke(deid_node, arguments)
    assert again.exit_code == 1
    assert "exists" in again.output


def test_an_original_that_is_missing_is_told(busy: Door, tmp_path: Path) -> None:
    """A backup that lacks something says what, and exits 1."""
    next(busy.inbox.studies.glob("*/*.dcm")).unlink()
    (line,) = backup.back_up(busy.config, tmp_path / "monday")
    assert "the original is missing" in line
