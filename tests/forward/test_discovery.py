"""How a release becomes deliveries: for whom, with which files, and when not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless

from node.forward.choosing import choose
from node.outbox.manifest import Manifest
from node.outbox.states import DeliveryState
from tests.forward.faulty_pacs import FaultyPacs, running
from tests.forward.harness import World, dicom_destination, make_world, tick_for, tick_until

S = DeliveryState


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a world whose one destination is away."""
    return make_world(tmp_path, [dicom_destination(1)])


def _with_variant(made: Manifest, syntax: str) -> Manifest:
    """Add to the first instance a second file, transcoded to a syntax."""
    entry = made.instances[0]
    variant = replace(
        entry, file="variant.dcm", transfer_syntax_uid=syntax, variant=syntax, sha256="1" * 64
    )
    return replace(made, instances=(*made.instances, variant))


def test_each_instance_goes_as_received_unless_a_syntax_is_wanted(world: World) -> None:
    """One file per instance, whatever variants there are."""
    made = _with_variant(world.release(instances=2), ImplicitVRLittleEndian)
    first, second, variant = made.instances
    assert choose(made, ()) == (first, second)
    assert choose(made, (ImplicitVRLittleEndian,)) == (variant, second)
    assert choose(made, (first.transfer_syntax_uid, ImplicitVRLittleEndian)) == (first, second)
    # nothing that it wants: as received, and its answer to the negotiation says the rest
    assert choose(made, (JPEG2000Lossless,)) == (first, second)


def test_only_a_variant_is_better_than_nothing(world: World) -> None:
    """An instance that was released in another syntax alone is sent in that."""
    made = _with_variant(world.release(instances=1), ImplicitVRLittleEndian)
    (_, variant) = made.instances
    assert choose(replace(made, instances=(variant,)), ()) == (variant,)


def test_a_release_goes_only_where_its_manifest_says(tmp_path: Path) -> None:
    """A destination that is configured and not named gets nothing."""
    with running(FaultyPacs()) as named, running(FaultyPacs()) as other:
        world = make_world(
            tmp_path,
            [dicom_destination(named.port, "named"), dicom_destination(other.port, "other")],
        )
        world.release(destinations=["named"])
        with world.forwarding() as forwarder:
            tick_until(forwarder, lambda: bool(world.receipts()))
            tick_for(forwarder, 0.1)
    assert named.held
    assert not other.held
    assert [delivery.destination for delivery in world.deliveries()] == ["named"]


def test_a_destination_that_is_not_configured_is_told(world: World) -> None:
    """A release for a destination that nobody knows waits for a person, not for ever in silence."""
    world.release(destinations=["nosuch"])
    with world.forwarding() as forwarder:
        tick_until(forwarder, lambda: bool(world.deliveries()))
    assert world.delivery().state is S.REFUSED
    assert "no such destination" in world.delivery().last_answer


def test_a_release_with_a_file_missing_is_refused_when_it_is_seen(world: World) -> None:
    """Before anything of it is sent."""
    made = world.release(instances=3)
    (world.outbox.releases / made.release / made.instances[2].file).unlink()
    with world.forwarding() as forwarder:
        tick_until(forwarder, lambda: bool(world.deliveries()))
    assert world.delivery().state is S.REFUSED
    assert "missing (number 3 of the manifest)" in world.delivery().last_answer


def test_a_release_in_the_making_is_not_seen(world: World) -> None:
    """A hidden folder is somebody's work; a release appears by one rename."""
    made = world.release()
    folder = world.outbox.releases / made.release
    folder.rename(folder.with_name(f".{folder.name}"))
    with world.forwarding() as forwarder:
        tick_for(forwarder, 0.1)
        assert world.deliveries() == []
        folder.with_name(f".{folder.name}").rename(folder)
        tick_until(forwarder, lambda: bool(world.deliveries()))


def test_forward_waits_for_the_signing_key(tmp_path: Path) -> None:
    """Started before process has made it, forward sends nothing and does not fail."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release()
        hidden = world.outbox.public_key.with_suffix(".later")
        world.outbox.public_key.rename(hidden)
        with world.forwarding() as forwarder:
            tick_for(forwarder, 0.1)
            assert world.deliveries() == []
            hidden.rename(world.outbox.public_key)
            tick_until(forwarder, lambda: bool(world.receipts()))


def test_a_release_of_no_instance_is_delivered(world: World) -> None:
    """Where all was excluded there is nothing to send, and the receipt says so."""
    made = world.release(instances=0)
    with world.forwarding() as forwarder:
        tick_until(forwarder, lambda: bool(world.receipts()))
    (receipt,) = world.receipts()
    assert (receipt["release"], receipt["instances"]) == (made.release, 0)
