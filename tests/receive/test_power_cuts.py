"""0x0000 is a receipt: what was answered survives a power cut at any moment."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from node import disk
from node.receive import spool
from node.upper_layer import Association, Command, CommandField, Status
from node.upper_layer.wire import Buffer
from tests.receive.power_cut import Model, Step, ext4_like, lost, strict
from tests.receive.receiving import ct, receiving, send, sending

pytestmark = pytest.mark.crash

CUTS = 200
MODELS = [strict, ext4_like]


class Recorder:
    """Takes the real steps of `node.disk` and writes down each once it is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trace: list[Step] = []
        self._lock = threading.Lock()
        self._by_fd: dict[int, int] = {}
        self._by_path: dict[Path, int] = {}
        self._mine = threading.local()
        self._files = 0
        self._real = {name: getattr(disk, name) for name in ("create_exclusive", "write", "fsync")}
        self._real |= {name: getattr(disk, name) for name in ("rename_noreplace", "fsync_dir")}
        for name in self._real:
            monkeypatch.setattr(disk, name, getattr(self, name))
        real_send = Association.send

        def send_and_tell(
            association: Association, context_id: int, command: Command, dataset: Buffer = b""
        ) -> None:
            if command.field == CommandField.C_STORE_RSP and command.status == Status.SUCCESS:
                # Before it leaves: nobody has it yet, so this is the earliest moment.
                self._tell(Step("answer", self._mine.file))
            real_send(association, context_id, command, dataset)

        monkeypatch.setattr(Association, "send", send_and_tell)

    def _tell(self, *steps: Step) -> None:
        with self._lock:
            self.trace += steps

    def create_exclusive(self, where: disk.Where, mode: int = 0o600) -> int:
        """Record a new name of a new file."""
        fd: int = self._real["create_exclusive"](where, mode)
        path = Path(where)
        with self._lock:
            self._files += 1
            self._mine.file = self._by_fd[fd] = self._by_path[path] = self._files
        self._tell(Step("name", self._mine.file, folder=path.parent, name=path.name))
        return fd

    def write(self, fd: int, *pieces: bytes) -> None:
        """Record bytes."""
        self._real["write"](fd, *pieces)
        self._tell(Step("write", self._by_fd[fd], bytes=sum(map(len, pieces))))

    def fsync(self, fd: int) -> None:
        """Record that a file's bytes are safe."""
        self._real["fsync"](fd)
        self._tell(Step("fsync", self._by_fd[fd]))

    def fsync_dir(self, path: disk.Where) -> None:
        """Record that a folder's names are safe."""
        self._real["fsync_dir"](path)
        self._tell(Step("fsync_dir", folder=Path(path)))

    def rename_noreplace(self, before: disk.Where, after: disk.Where) -> None:
        """Record a name that goes and a name that comes."""
        self._real["rename_noreplace"](before, after)
        source, target = Path(before), Path(after)
        file = self._by_path.pop(source, None)
        if file is not None:
            self._tell(
                Step("unname", file, folder=source.parent, name=source.name),
                Step("name", file, folder=target.parent, name=target.name),
            )


def record(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mutate: Callable[[], None] | None = None
) -> tuple[list[Step], Path]:
    """Receive 12 instances on 3 associations at once and give the trace."""
    recorder = Recorder(monkeypatch)
    if mutate:
        mutate()
    with receiving(folder) as node:
        threads = [threading.Thread(target=_send_four, args=(node.port, n)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len([step for step in recorder.trace if step.what == "answer"]) == 12
        return recorder.trace, node.inbox.arrived


def _send_four(port: int, association_number: int) -> None:
    with sending(port) as association:
        for number in range(4):
            assert send(association, ct(10 * association_number + number, rows=200)) == 0


@pytest.mark.parametrize("model", MODELS)
def test_nothing_answered_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    """200 power cuts, spread over the receipt of 12 instances."""
    trace, arrived = record(tmp_path, monkeypatch)
    assert lost(trace, arrived, model, CUTS) == 0


@pytest.mark.parametrize("model", MODELS)
def test_without_fsync_of_the_file_something_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    """A mutant that must fail, or the test above proves nothing."""
    trace, arrived = record(
        tmp_path, monkeypatch, lambda: monkeypatch.setattr(disk, "fsync", lambda _: None)
    )
    assert lost(trace, arrived, model, CUTS) > 0


@pytest.mark.parametrize("model", MODELS)
def test_without_fsync_of_the_folder_something_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    """A mutant that must fail."""
    trace, arrived = record(
        tmp_path, monkeypatch, lambda: monkeypatch.setattr(disk, "fsync_dir", lambda _: None)
    )
    assert lost(trace, arrived, model, CUTS) > 0


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_before_the_sync_loses_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    """A mutant that must fail: it takes all the steps, but answers first."""
    waiting = threading.local()

    def keep_later(partial: spool.Partial) -> None:
        copy = os.dup(partial.fd)
        recorder = disk.fsync.__self__  # type: ignore[attr-defined]  # the recorder's own method
        recorder._by_fd[copy] = recorder._by_fd[partial.fd]
        waiting.steps = (copy, partial._at, partial._final)
        partial._durable = True

    def mutate() -> None:
        monkeypatch.setattr(spool.Partial, "keep", keep_later)
        send_and_tell = Association.send

        def answer_then_keep(
            association: Association, context_id: int, command: Command, dataset: Buffer = b""
        ) -> None:
            send_and_tell(association, context_id, command, dataset)
            copy, path, target = waiting.steps
            disk.fsync(copy)
            os.close(copy)
            disk.rename_noreplace(path, target)
            disk.fsync_dir(Path(target).parent)

        monkeypatch.setattr(Association, "send", answer_then_keep)

    trace, arrived = record(tmp_path, monkeypatch, mutate)
    assert lost(trace, arrived, model, CUTS) > 0
