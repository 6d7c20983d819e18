"""The audit trail keeps who did what when, and shows when somebody changed it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest
import structlog

from node import observe
from node.audit import AUDITED, Trail, append, problems, read, trails, volumes, volumes_of

THEN = "2026-01-02T03:04:05+00:00"


@pytest.fixture(name="trail")
def _trail(tmp_path: Path) -> Path:
    """Give a trail of five entries."""
    path = tmp_path / "people.jsonl"
    for number in range(1, 6):
        append(path, "ada", "find", THEN, study=f"study{number}")
    return path


def test_entries_come_back_in_order(trail: Path) -> None:
    """Who, what, when, and the facts."""
    entries = list(read(trail))
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5]
    assert (entries[0].who, entries[0].what, entries[0].at) == ("ada", "find", THEN)
    assert entries[4].facts == {"study": "study5"}
    assert problems(trail) == []


def _change(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b"ada", b"eve"), *lines[3:]]


def _remove(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], *lines[3:]]


def _swap(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[2], lines[1], *lines[3:]]


def _cut_the_beginning(lines: list[bytes]) -> list[bytes]:
    return lines[1:]


def _insert(lines: list[bytes]) -> list[bytes]:
    forged = json.loads(lines[1]) | {"who": "eve"}
    return [*lines[:2], json.dumps(forged).encode() + b"\n", *lines[2:]]


@pytest.mark.parametrize("forge", [_change, _remove, _swap, _cut_the_beginning, _insert])
def test_a_forged_trail_is_noticed(
    trail: Path, forge: Callable[[list[bytes]], list[bytes]]
) -> None:
    """Whatever is done to the lines that are there."""
    trail.write_bytes(b"".join(forge(trail.read_bytes().splitlines(keepends=True))))
    assert problems(trail)


def test_a_line_torn_by_a_power_cut_shows_and_the_chain_goes_on(trail: Path) -> None:
    """The one line is told; what follows it is sound."""
    whole = trail.read_bytes()
    trail.write_bytes(whole[:-20])
    append(trail, "ada", "find", THEN)
    append(trail, "ada", "find", THEN)
    told = problems(trail)
    assert told
    assert all("line 5" in problem or "line 6" in problem for problem in told)


@pytest.fixture(name="long_trail")
def _long_trail(trail: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a trail of many volumes: one is full with three entries or so."""
    monkeypatch.setattr(volumes, "VOLUME_BYTES", 500)
    for number in range(6, 41):
        append(trail, "ada", "find", THEN, study=f"study{number}")
    return trail


def test_a_trail_of_many_volumes_is_one_chain(long_trail: Path) -> None:
    """What is full lies beside what is written, and nothing is lost in between."""
    assert len(volumes_of(long_trail)) > 5
    assert problems(long_trail) == []
    assert [entry.number for entry in read(long_trail)] == list(range(1, 41))
    append(long_trail.with_name("people-2.jsonl"), "ada", "find", THEN)  # another's, not a volume
    assert trails(long_trail.parent) == [long_trail.with_name("people-2.jsonl"), long_trail]


def test_a_volume_that_is_missing_is_noticed(long_trail: Path) -> None:
    """The first of them as well as one in between."""
    for volume in volumes_of(long_trail)[:3]:
        content = volume.read_bytes()
        volume.unlink()
        assert problems(long_trail)
        volume.write_bytes(content)
    assert problems(long_trail) == []


def test_a_run_that_ends_when_a_volume_is_full_goes_on_in_the_next(long_trail: Path) -> None:
    """Between the old name and the next entry there is no file of the trail's name."""
    while long_trail.exists():
        append(long_trail, "ada", "find", THEN)
    append(long_trail, "ada", "find", THEN)
    assert long_trail.exists()
    assert problems(long_trail) == []


def test_a_volume_that_cannot_be_put_aside_grows(
    trail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry is what counts."""

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(volumes, "VOLUME_BYTES", 500)
    monkeypatch.setattr(volumes, "put_aside", refuse)
    for _ in range(5):
        append(trail, "ada", "find", THEN)
    assert volumes_of(trail) == [trail]
    assert problems(trail) == []


def _write_many(path: Path, who: str) -> None:
    volumes.VOLUME_BYTES = 1000
    for _ in range(20):
        append(path, who, "find", THEN)


def test_several_writers_make_one_chain(tmp_path: Path) -> None:
    """The command line and the web write to the same file, and to the next when it is full."""
    path = tmp_path / "people.jsonl"
    context = get_context("spawn")
    writers = [context.Process(target=_write_many, args=(path, who)) for who in ("ada", "bob")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert problems(path) == []
    assert len(list(read(path))) == 40


@pytest.fixture(name="log_to")
def _log_to() -> Iterator[Callable[[Path, str], structlog.BoundLogger]]:
    """Log as a role does, with a trail and at a level; afterwards as before."""

    def log_to(path: Path, level: str) -> structlog.BoundLogger:
        observe.set_up_logging("json", level, "receive", audit=Trail(path))  # type: ignore[arg-type] -- one of the levels
        logger: structlog.BoundLogger = structlog.get_logger()
        return logger

    yield log_to
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("level", ["info", "error"])
def test_a_role_s_audited_events_are_kept_whatever_the_log_s_level(
    log_to: Callable[[Path, str], structlog.BoundLogger],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    level: str,
) -> None:
    """The log's level is for reading; the trail is for proving."""
    path = tmp_path / "receive.jsonl"
    log = log_to(path, level)
    log.info("role_started", port=104)
    log.info("instances_adopted", count=3)
    (entry,) = read(path)
    assert (entry.who, entry.what, entry.facts) == ("receive", "role_started", {"port": 104})
    assert ("role_started" in capsys.readouterr().err) == (level == "info")


def test_a_trail_that_cannot_be_written_does_not_stop_a_role(
    log_to: Callable[[Path, str], structlog.BoundLogger],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The log says so; what was received is in rows and files as well."""
    log_to(tmp_path / "no such folder" / "receive.jsonl", "info").info("role_started")
    assert '"audit_failed": "No such file or directory"' in capsys.readouterr().err


def test_every_audited_event_is_an_event() -> None:
    """The list here and the list of events do not drift apart."""
    assert AUDITED <= observe.EVENTS


def test_a_volume_that_fills_while_the_trail_is_read_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written when the reading began is read whole, wherever it lies by then."""
    monkeypatch.setattr(volumes, "VOLUME_BYTES", 2000)
    trail = tmp_path / "people.jsonl"
    for _ in range(24):
        append(trail, "a person", "did", "now")
    assert len(volumes_of(trail)) > 1
    entries = read(trail)
    numbers = [next(entries).number]
    for _ in range(40):
        append(trail, "a person", "did", "now")
    numbers += [entry.number for entry in entries]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 24
    assert not problems(trail)
