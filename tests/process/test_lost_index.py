"""The index is gone, or older than the files: nothing is forgotten, and no other key slips in."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

import pytest

from node.outbox.receipts import Receipt, write_receipt
from node.process.keys import IndexLost, KeyRefused
from node.process.repairing import repair
from node.process.retention import keep_times
from node.process.role import run
from node.status.find import find_studies
from node.status.verify import verify_node
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


def lose_originals(door: Door) -> None:
    """Remove every original, as retention does in time."""
    for folder in door.inbox.studies.iterdir():
        shutil.rmtree(folder)


def test_releases_whose_originals_are_purged_are_known_again(door: Door) -> None:
    """The manifests say what went out: the studies' rows, counts and retention come back."""
    door.arrive(make_instance(instance=1), make_instance(instance=2))
    door.settle()
    door.arrive(make_instance(instance=3), association="b000000000")
    door.settle()
    before, counted = door.study(), door.conservation()
    outputs = {row.output_sop_instance_uid for row in door.instances().values()}
    lose_index(door)
    lose_originals(door)
    with pytest.raises(IndexLost):
        door.open()
    assert len(repair(door.config)) == 2
    assert repair(door.config) == []
    door.open()
    after = door.study()
    assert (after.study, after.state, after.route, after.modality) == (
        before.study, "RELEASED", before.route, before.modality,
    )  # fmt: skip
    assert (after.generation, after.generations, after.released) == (2, 2, 3)
    assert door.conservation() == counted
    assert {row.output_sop_instance_uid for row in door.instances().values()} == outputs
    assert [path for path in verify_node(door.config) if "release" in path] == []
    assert find_studies(door.config, sorted(outputs)[:1]) == [before.study]


def test_a_release_that_is_known_again_goes_in_its_time(
    make_door: Callable[..., Door],
) -> None:
    """Retention asks rows: without one the files would stay for ever."""
    door = make_door(
        completion={"quiet_seconds": 10, "max_seconds": 1000}, retention={"released_days": 1}
    )
    door.arrive(make_instance())
    door.settle()
    (name,) = door.releases()
    study = door.study().study
    receipt = Receipt(name, "delivered", study, 1, 1, False, "2026-01-01T00:00:00Z")
    write_receipt(door.outbox.receipts, receipt)
    lose_index(door)
    lose_originals(door)
    repair(door.config)
    door.open()
    door.clock.time = time.time() + 2 * 86400
    keep_times(door.place)
    assert [path.name for path in (door.outbox.releases / name).iterdir()] == ["manifest.json"]


def test_a_study_that_is_sent_again_after_all_was_lost_comes_out_the_same(door: Door) -> None:
    """Which originals went out is known to nobody: it is a new study, of the same new UIDs."""
    dataset = make_instance()
    door.arrive(dataset)
    door.settle()
    (before,) = door.instances().values()
    lose_index(door)
    lose_originals(door)
    repair(door.config)
    door.open()
    door.arrive(dataset, association="c000000000")
    door.settle()
    assert len(door.studies()) == 2
    after = [row for row in door.instances().values() if row.study != before.study]
    assert [(row.output_sop_instance_uid, row.output_sha256) for row in after] == [
        (before.output_sop_instance_uid, before.output_sha256)
    ]


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
