"""What is sent is what was hashed: a file that changed after its release never leaves whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from node.config import DicomDestination
from node.forward import dicom, source
from node.forward.batch import Batch, Item, Reaction
from node.forward.source import FileAltered, Reader
from node.outbox.states import DeliveryState
from tests.factories import make_instance, write_instance
from tests.forward.faulty_pacs import FaultyPacs, running
from tests.forward.harness import dicom_destination, make_world, pause, resume, tick_until
from tests.forward.told import Told

S = DeliveryState


@pytest.fixture
def item(tmp_path: Path) -> Item:
    """Give an item whose file is of several pieces and read as a large one is."""
    image = make_instance(rows=512)
    path = write_instance(tmp_path / "large.dcm", image)
    content = path.read_bytes()
    return Item(
        number=0, path=path, sop_class_uid=image.SOPClassUID,
        sop_instance_uid=image.SOPInstanceUID,
        transfer_syntax_uid=image.file_meta.TransferSyntaxUID, bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )  # fmt: skip


@pytest.fixture
def _all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "WHOLE_LIMIT", 1000)
    monkeypatch.setattr(source, "PIECE", 65_536)


def _alter(path: Path, place: int) -> None:
    path.chmod(0o640)
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1]))


def _set_last_byte(path: Path) -> None:
    path.chmod(0o640)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")


def _flip_first_pixel(path: Path) -> None:
    _alter(path, path.stat().st_size - 40)


def _truncate(path: Path) -> None:
    path.chmod(0o640)
    os.truncate(path, path.stat().st_size - 2)


def _grow(path: Path) -> None:
    path.chmod(0o640)
    with path.open("ab") as file:
        file.write(b"\0\0")


def _link(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize("change", [_flip_first_pixel, _truncate, _grow, _link, os.unlink, None])
@pytest.mark.parametrize("kind", ["dicom", "folder"])
def test_an_altered_file_is_not_sent(
    tmp_path: Path, change: Callable[[Path], None] | None, kind: str
) -> None:
    """The other instances go; the delivery waits for a person, and says why (None: as it was)."""
    with running(FaultyPacs()) as pacs:
        to_folder = {"type": "folder", "name": "research", "path": str(tmp_path / "files")}
        to_pacs = dicom_destination(pacs.port)
        world = make_world(tmp_path, [to_pacs if kind == "dicom" else to_folder])
        with world.forwarding() as forwarder:
            pause(world, forwarder)
            made = world.release(instances=3)
            tick_until(forwarder, lambda: bool(world.deliveries()))
            if change:
                change(world.outbox.releases / made.release / made.instances[1].file)
            resume(world, forwarder)
            tick_until(forwarder, lambda: world.delivery().state in (S.REFUSED, S.DELIVERED))
        arrived = len(pacs.held) + sum(path.is_file() for path in (tmp_path / "files").rglob("*"))
    assert world.delivery().state is (S.REFUSED if change else S.DELIVERED)
    assert arrived == (2 if change else 3)
    assert bool(world.receipts()) is (change is None)
    if change:
        assert "file" in world.delivery().last_answer


def test_a_manifest_that_changes_before_its_turn_comes_is_refused(tmp_path: Path) -> None:
    """It is checked again before each send; other studies go on."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        with world.forwarding() as forwarder:
            pause(world, forwarder)
            first, second = (world.release(study=number) for number in (1, 2))
            tick_until(forwarder, lambda: len(world.deliveries()) == 2)
            path = world.outbox.releases / first.release / "manifest.json"
            _alter(path, 30)
            resume(world, forwarder)
            tick_until(forwarder, lambda: bool(world.receipts()))
    assert [delivery.state for delivery in world.deliveries()] == [S.REFUSED, S.DELIVERED]
    assert set(pacs.held) == {entry.sop_instance_uid for entry in second.instances}


def test_a_file_that_belies_its_manifest_is_not_sent(item: Item) -> None:
    """A digest may agree and the manifest still name another syntax, class or instance."""
    for lie in ("sop_class_uid", "sop_instance_uid", "transfer_syntax_uid"):
        facts = {name: getattr(item, name) for name in Item.__slots__}
        with (
            pytest.raises(FileAltered, match="header"),
            Reader().open(Item(**{**facts, lie: "1.2.3"})),
        ):
            pass


@pytest.mark.usefixtures("_all_are_large")
@pytest.mark.parametrize("place", [-1, -200_000])
def test_the_last_piece_of_a_large_file_is_withheld_until_it_is_proven(
    item: Item, place: int
) -> None:
    """A change between the first hash and the last byte shows before that byte is given."""
    given: list[int] = []
    with Reader().open(item) as opened:
        pieces = opened.pieces(opened.dataset_offset)
        given.append(len(next(pieces)))
        _alter(item.path, item.bytes + place)
        with pytest.raises(FileAltered, match="while it was sent"):
            given.extend(len(piece) for piece in pieces)
    assert sum(given) < item.bytes - opened.dataset_offset


@pytest.mark.usefixtures("_all_are_large")
def test_a_large_file_that_changes_under_way_is_aborted(item: Item) -> None:
    """The PACS gets an A-ABORT instead of the last fragment, and holds nothing of it.

    What comes after it is left for the next turn, and not taken for a failure of the destination.
    """
    after = replace(item, number=1)
    with running(FaultyPacs()) as pacs:
        told = Told(on_sent=lambda: _set_last_byte(item.path))
        batch = Batch(DicomDestination(**dicom_destination(pacs.port)), (item, after), 5.0)
        ending = dicom.send(batch, told, lambda: False)
    assert [answer.reaction for answer in told.answers] == [Reaction.REFUSE]
    assert ending.reaction is Reaction.STORED
    assert not pacs.held


@pytest.mark.usefixtures("_all_are_large")
def test_a_large_file_arrives_byte_for_byte(item: Item) -> None:
    """Read in pieces or whole, the same data set is sent."""
    with running(FaultyPacs()) as pacs:
        batch = Batch(DicomDestination(**dicom_destination(pacs.port)), (item,), 5.0)
        told = Told()
        dicom.send(batch, told, lambda: False)
    assert [answer.reaction for answer in told.answers] == [Reaction.STORED]
    (dataset,) = pacs.held[item.sop_instance_uid]
    assert item.path.read_bytes().endswith(dataset)
    with Reader().open(item) as opened:
        assert len(dataset) == item.bytes - opened.dataset_offset


def test_a_reader_uses_its_buffer_again(item: Item) -> None:
    """Memory does not grow with the number of files."""
    reader = Reader()
    with reader.open(item):
        first = reader._buffer
    with reader.open(item):
        assert reader._buffer is first
