"""`verify` holds the rows of releases to the manifests, both ways."""

from __future__ import annotations

import shutil

from sqlalchemy import update

from node.inbox.tables import generation
from node.status.verify import verify_node
from tests.factories import make_instance
from tests.process.conftest import Door


def test_rows_of_releases_and_manifests_agree_or_are_told(door: Door) -> None:
    """A release whose row names another manifest, or whose folder is gone, is a line."""
    door.arrive(make_instance())
    door.settle()
    name = door.releases()[0]
    assert verify_node(door.config) == []
    with door.place.index.begin() as conn:
        conn.execute(update(generation).values(manifest_digest="other"))
    assert verify_node(door.config) == [
        f"release {name}: the index knows no release with this manifest"
    ]
    shutil.rmtree(door.outbox.releases / name)
    assert verify_node(door.config) == [
        f"release {name}: the index knows it, and it has no manifest that can be trusted"
    ]
