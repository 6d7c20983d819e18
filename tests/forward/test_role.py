"""The role as a process: started, signalled, killed, and watched in what it opens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node import disk
from node.forward.role import run
from node.outbox.states import DeliveryState
from tests.forward.faulty_pacs import FaultyPacs, running
from tests.forward.harness import World, decide, dicom_destination, make_world, tick_until

S = DeliveryState
AUDIT = """
import os, sys
log = os.open(os.environ["AUDIT_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def hook(event, arguments):
    if event in ("open", "sqlite3.connect", "os.listdir", "os.scandir", "os.rename", "os.remove",
                 "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod"):
        if isinstance(arguments[0], (str, bytes, os.PathLike)):
            path = os.path.abspath(os.fsdecode(arguments[0]).removeprefix("file:"))
            os.write(log, f"{event} {path}\\n".encode())
sys.addaudithook(hook)
"""


@contextmanager
def role(world: World, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run `forward` as `run` starts it."""
    config = world.root / "node.toml"
    sections = {
        "node": world.config.node.model_dump(mode="json"),
        "forward": world.config.forward.model_dump(mode="json"),
    }
    lines = []
    for name, values in sections.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    for destination in world.config.destinations:
        values = destination.model_dump(mode="json", exclude_none=True)
        lines += ["[[destinations]]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    config.write_text("\n".join(lines))
    process = subprocess.Popen(
        [sys.executable, "-m", "node", "forward", "-c", str(config)],
        stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _wait(reached: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _children(pid: int) -> set[int]:
    """Give all processes below one, zombies included."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def _alive(pids: set[int]) -> set[int]:
    alive = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            alive.add(pid)
    return alive


def test_a_term_signal_drains_and_ends_in_order(tmp_path: Path) -> None:
    """What is on its way gets its answer, the rest waits in the ledger, the exit code is 0."""
    with running(FaultyPacs(bytes_per_second=6_000)) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release(instances=60)
        with role(world) as process:
            _wait(lambda: len(pacs.held) >= 3)
            below = _children(process.pid)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=120) == 0
            _wait(lambda: not _alive(below))
    assert world.delivery().state is S.PENDING
    assert world.delivery().stored == len(pacs.held) < 60


def test_a_killed_role_takes_its_senders_with_it(tmp_path: Path) -> None:
    """No sender goes on behind the back of the next one; the next one finishes the work."""
    with running(FaultyPacs(bytes_per_second=6_000)) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        world.release(instances=40)
        with role(world) as process:
            _wait(lambda: len(pacs.held) >= 3)
            below = _children(process.pid)
            process.kill()
            process.wait()
            _wait(lambda: not _alive(below))
        pacs.bytes_per_second = 0
        with role(world):
            _wait(world.receipts)
    assert len(pacs.held) == 40
    assert {len(set(copies)) for copies in pacs.held.values()} == {1}


@pytest.fixture
def _signals() -> Iterator[None]:
    """Put the signal handlers back that a role in this process set."""
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("_signals")
def test_a_second_forward_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two would send everything twice."""
    world = make_world(tmp_path, [dicom_destination(1)])
    held = disk.lock_file(world.outbox.locks / "forward.lock")
    try:
        assert run(world.config) == 1
    finally:
        os.close(held)
    (line,) = capsys.readouterr().err.splitlines()
    assert "another forward" in line


@pytest.mark.usefixtures("_signals")
def test_a_signing_key_that_is_none_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the key no manifest can be checked: nothing is sent, exit 2."""
    world = make_world(tmp_path, [dicom_destination(1)])
    world.outbox.public_key.unlink()
    world.outbox.public_key.write_text("no key")
    assert run(world.config) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "not a public key" in line
    assert not disk.is_locked(world.outbox.locks / "forward.lock")


def test_senders_leave_no_zombie(tmp_path: Path) -> None:
    """They come and go; what stays is the server that they are forked from."""
    with running(FaultyPacs()) as pacs:
        world = make_world(tmp_path, [dicom_destination(pacs.port)])
        with world.forwarding() as forwarder:
            before = _children(os.getpid())
            for study in range(1, 6):
                world.release(study=study, instances=1)
                tick_until(forwarder, lambda: len(world.receipts()) == study)  # noqa: B023 -- now
            tick_until(forwarder, lambda: _children(os.getpid()) <= before)


def test_the_forwarder_opens_nothing_of_the_identified_zone(tmp_path: Path) -> None:
    """Of the data folder it touches the outbox, of the rest its configuration; never a key.

    What it logs is events of ours, without a UID.
    """
    data = tmp_path / "data"
    with running(FaultyPacs()) as pacs:
        files = {"type": "folder", "name": "files", "path": str(tmp_path / "files")}
        world = make_world(data, [files, dicom_destination(pacs.port)])
        for decoy in ("inbox/arrived/a.dcm", "inbox/db/index.sqlite3", "keys/pseudonym.key"):
            (data / decoy).parent.mkdir(parents=True, exist_ok=True)
            (data / decoy).write_bytes(b"decoy")
        made = world.release(instances=3)
        hooks = tmp_path / "hooks"
        hooks.mkdir()
        (hooks / "sitecustomize.py").write_text(AUDIT)
        audit = tmp_path / "audit.log"
        with role(world, PYTHONPATH=str(hooks), AUDIT_LOG=str(audit)) as process:
            _wait(lambda: len(world.receipts()) == 2)
            decide(world, "withdraw", study=made.study)
            _wait(lambda: list(world.outbox.withdrawals.iterdir()))
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=120)
            assert process.returncode == 0
    events = [json.loads(line) for line in told.splitlines()]
    assert {"release_seen", "delivery_started", "study_delivered"} <= {e["event"] for e in events}
    assert not any(entry.sop_instance_uid in told for entry in made.instances)
    opened = {line.split(" ", 1)[1] for line in audit.read_text().splitlines()}
    inside = {path for path in opened if path.startswith(str(data) + "/")}
    released = world.outbox.releases / made.release / made.instances[0].file
    assert str(released) in inside, "the hook saw nothing: this test would prove nothing"
    allowed = (f"{world.outbox.root}/", str(world.outbox.root), str(data / "node.toml"))
    assert {path for path in inside if not path.startswith(allowed)} == set()
