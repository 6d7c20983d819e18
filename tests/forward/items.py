"""The items of a release, for tests that call a destination type without a forwarder around it."""

from __future__ import annotations

from node.forward.batch import Item
from node.outbox.manifest import Manifest
from tests.forward.harness import World


def items_of(world: World, made: Manifest) -> tuple[Item, ...]:
    """Give what a batch with all instances of a release holds."""
    return tuple(
        Item(
            number=number, path=world.outbox.releases / made.release / entry.file,
            sop_class_uid=entry.sop_class_uid, sop_instance_uid=entry.sop_instance_uid,
            transfer_syntax_uid=entry.transfer_syntax_uid, bytes=entry.bytes, sha256=entry.sha256,
        )
        for number, entry in enumerate(made.instances)
    )  # fmt: skip
