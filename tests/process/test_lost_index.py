"""The index is gone, or older than the files: nothing is forgotten, and no other key slips in."""

from __future__ import annotations

import pytest

from node.process.keys import IndexLost, KeyRefused
from node.process.repairing import repair
from node.process.role import run
from tests.factories import make_instance
from tests.process.conftest import Door


def lose_index(door: Door) -> None:
    """Stop the run and remove the database."""
    door.close()
    for path in door.inbox.database.parent.iterdir():
        path.unlink()


def change_key(door: Door) -> None:
    """Put other 32 bytes where the key is."""
    (door.config.keys_dir / "pseudonym.key").write_bytes(b"x" * 32)


@pytest.mark.parametrize("released", [True, False])
def test_a_lost_index_stops_the_role_with_the_way_out(
    door: Door, capsys: pytest.CaptureFixture[str], released: bool
) -> None:
    """Exit 2 and a line that names the repair; after it the originals have their rows again."""
    door.arrive(make_instance())
    door.settle() if released else door.tick()
    study = door.study().study
    lose_index(door)
    assert run(door.config) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("{")]
    assert len(lines) == 1
    assert "`deid-node verify --repair`" in lines[0]
    repair(door.config)
    door.open()
    assert (door.study().study, door.study().state, door.study().waiting) == (study, "HELD", 1)


def test_a_node_whose_originals_are_purged_starts_again_after_a_repair(door: Door) -> None:
    """Releases alone need no row of a study; the index knows its key again."""
    door.arrive(make_instance())
    door.settle()
    study = door.study().study
    lose_index(door)
    for path in door.inbox.studies.glob("*/*"):
        path.unlink()
    (door.inbox.studies / study).rmdir()
    with pytest.raises(IndexLost):
        door.open()
    repair(door.config)
    door.open()
    assert door.studies() == []


def test_another_key_is_refused_though_the_index_that_knew_it_is_lost(door: Door) -> None:
    """The newest manifest names the fingerprint of the key that it was made with."""
    door.arrive(make_instance())
    door.settle()
    lose_index(door)
    change_key(door)
    with pytest.raises(IndexLost):
        door.open()
    with pytest.raises(KeyRefused, match="another key"):
        repair(door.config)


def test_another_key_is_refused_for_the_repair_of_an_index_that_is_there(door: Door) -> None:
    """Rows made with two keys would not find each other."""
    door.arrive(make_instance())
    door.tick()
    door.close()
    change_key(door)
    with pytest.raises(KeyRefused, match="another key"):
        repair(door.config)
    with pytest.raises(KeyRefused, match="another key"):
        door.open()
