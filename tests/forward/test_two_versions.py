"""A destination is never sent two versions of one instance, whoever made them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread

from node.outbox.states import DeliveryState
from tests.forward.harness import World, decide, make_world, tick_for, tick_until


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a world with one folder to deliver to."""
    return make_world(
        tmp_path, [{"type": "folder", "name": "files", "path": str(tmp_path / "files")}]
    )


def _states(world: World) -> list[DeliveryState]:
    return [each.state for each in world.deliveries()]


def _rows_of_files(world: World) -> list[int]:
    paths = (path for path in (world.root / "files").rglob("*") if path.is_file())
    return [dcmread(path).Rows for path in paths]


def test_a_release_of_other_bytes_under_the_same_uids_is_refused(world: World) -> None:
    """Even signed and in the chain: the first version stays the only one, and a retry too fails."""
    world.release(study=1, generation=1, rows=16)
    with world.forwarding() as forwarder:
        tick_until(forwarder, lambda: bool(world.receipts()))
        second = world.release(study=1, generation=2, series=1, rows=17)
        tick_until(forwarder, lambda: DeliveryState.REFUSED in _states(world))
        (refused,) = (d for d in world.deliveries() if d.release == second.release)
        assert "two versions" in refused.last_answer
        decide(world, "retry", study=second.study)
        tick_for(forwarder, 0.5)
        assert sorted(_states(world)) == [DeliveryState.DELIVERED, DeliveryState.REFUSED]
    assert _rows_of_files(world) == [16, 16, 16]


def test_the_same_bytes_again_are_no_second_version(world: World) -> None:
    """A generation that repeats an instance to the byte is delivered."""
    world.release(study=1, generation=1)
    with world.forwarding() as forwarder:
        tick_until(forwarder, lambda: bool(world.receipts()))
        world.release(study=1, generation=2, series=1)
        tick_until(forwarder, lambda: len(world.receipts()) == 2)
    assert _states(world) == [DeliveryState.DELIVERED, DeliveryState.DELIVERED]
