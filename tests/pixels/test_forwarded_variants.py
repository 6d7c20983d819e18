"""What becomes of a release that holds nothing that a destination takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.outbox.states import DeliveryState
from tests.forward.harness import make_world, tick_until
from tests.pixels.images import EXPLICIT, RLE


@pytest.mark.usefixtures("server_of_senders")
def test_a_destination_is_never_given_what_it_does_not_take(tmp_path: Path) -> None:
    """The delivery is refused in words that name the cure, and no file is written."""
    folder = tmp_path / "files"
    destination = {"type": "folder", "name": "files", "path": str(folder), "syntaxes": [RLE]}
    world = make_world(tmp_path, [destination])
    world.release()
    with world.forwarding() as forwarder:
        tick_until(forwarder, lambda: bool(world.deliveries()))
    assert world.delivery().state is DeliveryState.REFUSED
    assert f"only {EXPLICIT}" in world.delivery().last_answer
    assert "requeue the study" in world.delivery().last_answer
    assert not list(tmp_path.rglob("files/*"))
