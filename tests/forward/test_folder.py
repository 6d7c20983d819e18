"""A folder as destination: whole files under standard names, and none ever replaced."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom import dcmread

from node import disk
from node.config import FolderDestination
from node.forward import folder
from node.forward.batch import Batch, Reaction
from node.outbox.manifest import Manifest
from node.outbox.states import DeliveryState
from tests.forward.harness import World, make_world, tick_until
from tests.forward.items import items_of
from tests.forward.told import Told

FILE_ID = re.compile(r"[A-Z0-9_]{1,8}")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a world with one folder to deliver to."""
    return make_world(
        tmp_path, [{"type": "folder", "name": "files", "path": str(tmp_path / "files")}]
    )


def _files(world: World) -> list[Path]:
    return sorted(path for path in (world.root / "files").rglob("*") if path.is_file())


def _batch(world: World, made: Manifest) -> Batch:
    (destination,) = world.config.effective_destinations
    assert isinstance(destination, FolderDestination)
    return Batch(destination, items_of(world, made), 10.0)


def test_files_arrive_whole_under_names_that_a_dicomdir_can_hold(world: World) -> None:
    """Each component is a File ID of PS3.10: at most eight of A-Z, 0-9 and _."""
    made = world.release(instances=4)
    with world.forwarding() as forwarder:
        tick_until(forwarder, lambda: bool(world.receipts()))
    found = _files(world)
    assert {dcmread(path).SOPInstanceUID for path in found} == {
        entry.sop_instance_uid for entry in made.instances
    }
    for path in found:
        components = path.relative_to(world.root / "files").parts
        assert len(components) == 4
        assert all(FILE_ID.fullmatch(component) for component in components)
        assert path.stat().st_mode & 0o007 == 0


def test_generations_of_a_study_lie_together(world: World) -> None:
    """Late images land in the folder of their study, beside those that came before."""
    for generation in (1, 2):
        batch = _batch(world, world.release(generation=generation, instances=2))
        folder.send(batch, Told(), lambda: False)
    series = {path.parent for path in _files(world)}
    assert len(series) == 2
    assert len({path.parent for path in series}) == 1


def test_a_file_that_is_there_already_is_delivered(world: World) -> None:
    """Sending again, after an answer was lost, changes nothing."""
    batch = _batch(world, world.release(instances=2))
    folder.send(batch, Told(), lambda: False)
    before = {path: path.stat().st_ino for path in _files(world)}
    told = Told()
    folder.send(batch, told, lambda: False)
    assert {path: path.stat().st_ino for path in _files(world)} == before
    assert [answer.reaction for answer in told.answers] == [Reaction.STORED] * 2


def test_another_version_is_never_replaced(world: World) -> None:
    """What lies there under the same UID stays, and a person decides."""
    batch = _batch(world, world.release(instances=1))
    folder.send(batch, Told(), lambda: False)
    (path,) = _files(world)
    path.chmod(0o640)
    changed = path.read_bytes() + b"\0\0"
    path.write_bytes(changed)
    told = Told()
    folder.send(batch, told, lambda: False)
    assert [answer.reaction for answer in told.answers] == [Reaction.REFUSE]
    assert "never replaced" in told.answers[0].text
    assert path.read_bytes() == changed


def test_two_instances_whose_names_meet_both_arrive(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight characters can meet by chance: the second takes the next eight."""
    plain = folder._file_id
    monkeypatch.setattr(
        folder,
        "_file_id",
        lambda value, attempt=0: "SAME" if attempt == 0 else plain(value, attempt),
    )
    batch = _batch(world, world.release(instances=3))
    told = Told()
    folder.send(batch, told, lambda: False)
    assert [answer.reaction for answer in told.answers] == [Reaction.STORED] * 3
    assert len(_files(world)) == 3


def test_what_a_crash_left_half_written_is_written_again(world: World) -> None:
    """Half a file is under a hidden name, so nobody takes it for a whole one."""
    batch = _batch(world, world.release(instances=1))
    folder.send(batch, Told(), lambda: False)
    (path,) = _files(world)
    half = world.root / "files" / f".{batch.items[0].sha256[:16]}.part"
    half.write_bytes(path.read_bytes()[:100])
    path.unlink()
    told = Told()
    folder.send(batch, told, lambda: False)
    assert [answer.reaction for answer in told.answers] == [Reaction.STORED]
    assert _files(world) == [path]


def test_a_file_that_changes_after_it_was_hashed_arrives_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes, and the names made of them, are those that were hashed, not those of now."""
    batch = _batch(world, world.release(instances=1))
    (item,) = batch.items
    whole = item.path.read_bytes()
    plain = disk.create_exclusive

    def changed_meanwhile(path: Path, mode: int) -> int:
        item.path.chmod(0o640)
        item.path.write_bytes(whole.replace(b"1.2.", b"9.9."))
        return plain(path, mode)

    monkeypatch.setattr(disk, "create_exclusive", changed_meanwhile)
    folder.send(batch, Told(), lambda: False)
    (arrived,) = _files(world)
    assert arrived.read_bytes() == whole
    assert arrived.parent.name == folder._file_id(str(dcmread(arrived).SeriesInstanceUID))


def test_a_folder_that_is_away_is_tried_again(world: World) -> None:
    """A share that is not mounted defers the delivery; when it is back, the files arrive."""
    blocking = world.root / "files"
    blocking.write_text("a file where the folder should be")
    world.release(instances=2)
    with world.forwarding() as forwarder:
        tick_until(
            forwarder,
            lambda: bool(world.deliveries()) and world.delivery().state is DeliveryState.DEFERRED,
        )
        assert "cannot be written" in world.delivery().last_answer
        blocking.unlink()
        tick_until(forwarder, lambda: bool(world.receipts()))
    assert len(_files(world)) == 2


def test_a_file_is_durable_before_it_counts_as_delivered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes are synced before it takes its name, and its name before the answer."""
    batch = _batch(world, world.release(instances=1))
    steps: list[str] = []
    for name in ("fsync", "rename_noreplace", "fsync_dir"):
        plain = getattr(disk, name)
        monkeypatch.setattr(
            disk, name, lambda *given, name=name, plain=plain: (steps.append(name), plain(*given))
        )
    monkeypatch.setattr(Told, "answered", lambda _told, _answer: steps.append("answered"))
    folder.send(batch, Told(), lambda: False)
    # each of the four folders made on the way is durable in the one above it
    assert steps == [
        "fsync_dir", "fsync", *["fsync_dir"] * 3, "rename_noreplace", "fsync_dir", "answered"
    ]  # fmt: skip
