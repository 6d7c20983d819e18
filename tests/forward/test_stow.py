"""A DICOMweb server as destination: what it answers per instance, and what we do about it."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.config import StowDestination
from node.forward import source, stow
from node.forward.batch import Batch, Reaction
from node.outbox.manifest import Manifest
from node.outbox.states import DeliveryState
from tests.forward.dicomweb import DicomWeb, serving
from tests.forward.harness import World, make_world, tick_until
from tests.forward.items import items_of
from tests.forward.told import Told

S = DeliveryState


@pytest.fixture
def pacs() -> Iterator[DicomWeb]:
    """Run a server."""
    with serving() as pacs:
        yield pacs


def _world(tmp_path: Path, pacs: DicomWeb, **wishes: str) -> World:
    return make_world(tmp_path, [{"type": "stow", "name": "web", "url": pacs.url, **wishes}])


def _send(world: World, instances: int = 1) -> Told:
    return _send_released(world, world.release(instances=instances))


def _send_released(world: World, made: Manifest) -> Told:
    (destination,) = world.config.destinations
    assert isinstance(destination, StowDestination)
    told = Told()
    batch = Batch(destination, items_of(world, made), 5.0)
    told.ending = stow.send(batch, told, lambda: False)
    return told


def test_files_arrive_byte_for_byte(tmp_path: Path, pacs: DicomWeb) -> None:
    """Whole files, header included, over one kept connection; a receipt follows."""
    world = _world(tmp_path, pacs)
    made = world.release(instances=3)
    with world.forwarding() as forwarder:
        tick_until(forwarder, lambda: bool(world.receipts()))
    folder = world.outbox.releases / made.release
    assert sorted(pacs.held) == sorted((folder / e.file).read_bytes() for e in made.instances)
    assert pacs.connections == 1


@pytest.mark.parametrize(
    ("status", "reason", "reaction"),
    [
        (200, 0, Reaction.STORED), (202, 0xB000, Reaction.STORED),
        (409, 0xA900, Reaction.REFUSE), (409, 0x0122, Reaction.REFUSE),
        (409, 0xA700, Reaction.RETRY), (409, 0x0110, Reaction.RETRY),
        (409, 0xC000, Reaction.THREE_TRIES), (409, 0x0124, Reaction.SUSPEND),
        (409, 0x0111, Reaction.REFUSE), (400, 0, Reaction.THREE_TRIES),
        (401, 0, Reaction.SUSPEND), (403, 0, Reaction.SUSPEND), (404, 0, Reaction.SUSPEND),
        (415, 0, Reaction.REFUSE), (429, 0, Reaction.RETRY), (500, 0, Reaction.THREE_TRIES),
        (503, 0, Reaction.RETRY), (302, 0, Reaction.THREE_TRIES), (0, 0, Reaction.RETRY),
    ],
)  # fmt: skip
def test_each_answer_has_its_reaction(
    tmp_path: Path, pacs: DicomWeb, status: int, reason: int, reaction: Reaction
) -> None:
    """The status line, and the failure or warning reason of the instance."""
    pacs.answers = deque([(status, reason)])
    told = _send(_world(tmp_path, pacs))
    (answer,) = told.answers
    assert answer.reaction is reaction
    assert answer.unknown is (status == 0)
    if reason:
        assert f"{reason:04X}H" in answer.text


def test_one_refused_instance_does_not_stop_the_others(tmp_path: Path, pacs: DicomWeb) -> None:
    """Outcomes are per instance, also where several are in one request."""
    world = _world(tmp_path, pacs)
    made = world.release(instances=3)
    uids = [entry.sop_instance_uid for entry in made.instances]
    pacs.failing = {uids[1]: 0xA900}
    told = _send_released(world, made)
    assert [(a.number, a.reaction) for a in told.answers] == [
        (0, Reaction.STORED), (1, Reaction.REFUSE), (2, Reaction.STORED),
    ]  # fmt: skip
    assert pacs.requests == [3]
    assert told.ending.reaction is Reaction.STORED


def test_what_an_answer_does_not_speak_of_is_posted_alone(tmp_path: Path, pacs: DicomWeb) -> None:
    """One bad instance that spoils a whole request is found; the others are stored once more."""
    world = _world(tmp_path, pacs)
    made = world.release(instances=3)
    pacs.answers = deque([(400, 0)])
    pacs.failing = {made.instances[2].sop_instance_uid: 0xC000}
    told = _send_released(world, made)
    assert [(a.number, a.reaction) for a in told.answers] == [
        (0, Reaction.STORED), (1, Reaction.STORED), (2, Reaction.THREE_TRIES),
    ]  # fmt: skip
    assert pacs.requests == [3, 1, 1, 1]


def test_an_instance_that_is_passed_over_in_silence_is_not_stored(
    tmp_path: Path, pacs: DicomWeb
) -> None:
    """The server speaks of the others only: that is no receipt, whatever the status is."""
    world = _world(tmp_path, pacs)
    made = world.release(instances=3)
    pacs.failing = {made.instances[0].sop_instance_uid: 0}
    told = _send_released(world, made)
    assert {a.number: a.reaction for a in told.answers} == {
        0: Reaction.THREE_TRIES, 1: Reaction.STORED, 2: Reaction.STORED,
    }  # fmt: skip
    assert pacs.requests == [3, 1]


def test_a_request_is_bounded(
    tmp_path: Path, pacs: DicomWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In instances and in bytes; what is larger by itself goes alone."""
    monkeypatch.setattr(stow, "TOGETHER_INSTANCES", 4)
    assert len(_send(_world(tmp_path / "some", pacs), instances=10).answers) == 10
    assert pacs.requests == [4, 4, 2]
    monkeypatch.setattr(stow, "TOGETHER_BYTES", 100)
    _send(_world(tmp_path / "large", pacs), instances=3)
    assert pacs.requests == [4, 4, 2, 1, 1, 1]


def test_an_altered_file_does_not_keep_the_others(tmp_path: Path, pacs: DicomWeb) -> None:
    """It is left out of the request."""
    world = _world(tmp_path, pacs)
    made = world.release(instances=3)
    (world.outbox.releases / made.release / made.instances[1].file).unlink()
    told = _send_released(world, made)
    assert {a.number: a.reaction for a in told.answers} == {
        0: Reaction.STORED, 1: Reaction.REFUSE, 2: Reaction.STORED,
    }  # fmt: skip
    assert pacs.requests == [2]


def test_a_busy_server_is_left_alone_at_once(
    tmp_path: Path, pacs: DicomWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 to the first request: the others are not made."""
    monkeypatch.setattr(stow, "TOGETHER_INSTANCES", 2)
    pacs.answers = deque([(503, 0)] * 3)
    told = _send(_world(tmp_path, pacs), instances=5)
    assert [answer.reaction for answer in told.answers] == [Reaction.RETRY] * 2
    assert told.ending.reaction is Reaction.RETRY


def test_the_token_comes_from_its_file(tmp_path: Path, pacs: DicomWeb) -> None:
    """A secret is never in the configuration; without its file nothing is sent."""
    credential = tmp_path / "token"
    world = _world(tmp_path / "world", pacs, credential=str(credential))
    told = _send(world)
    assert told.ending.reaction is Reaction.SUSPEND
    assert pacs.tokens == []
    credential.write_text("s3cret\n")
    made = world.release(study=2)
    del made
    with world.forwarding() as forwarder:
        tick_until(forwarder, lambda: bool(world.receipts()))
    assert set(pacs.tokens) == {"Bearer s3cret"}


def test_no_proxy_of_the_environment_is_used(
    tmp_path: Path, pacs: DicomWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Studies go where the configuration says, and by no other way."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    told = _send(_world(tmp_path, pacs))
    assert [answer.reaction for answer in told.answers] == [Reaction.STORED]


def test_a_large_file_that_changes_under_way_is_not_stored(
    tmp_path: Path, pacs: DicomWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The body ends before its length, so that the server cannot take it for whole."""
    monkeypatch.setattr(source, "WHOLE_LIMIT", 100)
    monkeypatch.setattr(source, "PIECE", 1024)
    world = _world(tmp_path, pacs)
    made = world.release(instances=1, rows=64)
    (item,) = items_of(world, made)

    def alter() -> None:
        item.path.chmod(0o640)
        with item.path.open("r+b") as file:
            file.seek(-1, 2)
            file.write(b"\xff")

    told = Told(on_sent=alter)
    (destination,) = world.config.destinations
    stow.send(Batch(destination, (item,), 5.0), told, lambda: False)
    assert [answer.reaction for answer in told.answers] == [Reaction.REFUSE]
    assert pacs.held == []


def test_without_the_extra_a_person_is_told_what_to_install(
    tmp_path: Path, pacs: DicomWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dicomweb-client is not among what everybody installs."""
    monkeypatch.setitem(sys.modules, "dicomweb_client.session_utils", None)
    told = _send(_world(tmp_path, pacs))
    assert told.ending.reaction is Reaction.SUSPEND
    assert "deid-node[stow]" in told.ending.text
