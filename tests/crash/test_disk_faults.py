"""A disk that fails under the real role: strace makes the n-th system call of a kind fail.

Every system call that an association makes of the disk, one after the other, with ENOSPC and EIO.
strace(1) counts calls thread by thread, and an association is a thread: so the first, second, third
call of a kind within one association fails, whatever the other threads do. No mount is needed.
close(2) is not among them: a disk may make it fail, but it closes, and strace's does not.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from node.inbox.header import read_header
from node.upper_layer import Status, UpperLayerError
from tests.receive.receiving import IMAGE, ct, encoded, sending, wait_until
from tests.receive.running import Role, a_role

pytestmark = [pytest.mark.crash, pytest.mark.long, pytest.mark.timeout(0)]

CALLS = [
    "mkdir", "openat", "flock", "writev", "write", "sync_file_range", "newfstatat", "pread64",
    "fsync", "renameat2", "unlink", "rmdir", "statfs", "getdents64",
]  # fmt: skip
#: Whatever of these fails for an instance, it is refused.
ALL_COUNT = {"writev", "sync_file_range", "pread64", "fsync", "renameat2"}
#: No call is made as often within one association of three instances.
MOST = 60
INSTANCES = 3


@pytest.fixture(scope="module")
def role(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Role]:
    """Run one receive role for all faults: it has to survive each of them."""
    assert shutil.which("strace"), "make crash needs strace (apt-get install strace)"
    with a_role(tmp_path_factory.mktemp("faults")) as role:
        role.start()
        yield role


@contextmanager
def traced(role: Role, *expressions: str) -> Iterator[Path]:
    """Let strace look on, and interfere as it is told, while the block runs; give the trace."""
    assert role.process
    trace = role.folder / "trace"
    asked = [part for expression in expressions for part in ("-e", expression)]
    strace = subprocess.Popen(
        ["strace", "-f", "-qq", "-y", "-o", str(trace), "-p", str(role.process.pid), *asked]
    )
    status = Path(f"/proc/{role.process.pid}/status")
    assert wait_until(lambda: f"TracerPid:\t{strace.pid}\n" in status.read_text())
    try:
        yield trace
    finally:
        strace.send_signal(signal.SIGINT)
        strace.wait(100)


def failing(role: Role, call: str, code: str, at: int) -> AbstractContextManager[Path]:
    """Let the call fail at its `at`-th time in each thread while the block runs; give the trace."""
    return traced(role, f"trace={call}", f"inject={call}:error={code}:when={at}")


def _sent(role: Role, first: int) -> dict[str, tuple[int, bytes]]:
    """Send instances on one association; the status and the dataset of each that was answered."""
    answers = {}
    with suppress(UpperLayerError), sending(role.port) as association:
        for number in range(first, first + INSTANCES):
            sop_class, uid, dataset = encoded(ct(number, rows=200))
            status = association.send_store(IMAGE, 1, sop_class, uid, [dataset], len(dataset))
            answers[uid] = status, dataset
    return answers


def _takes_instances(role: Role, number: int) -> bool:
    return [status for status, _ in _sent(role, number).values()] == [Status.SUCCESS] * INSTANCES


def test_the_calls_are_all_that_an_association_makes_of_the_disk(role: Role) -> None:
    """So that none is left out of what fails below; close(2), see above."""
    with traced(role) as trace:
        assert _takes_instances(role, 1)
        assert wait_until(lambda: not list(role.inbox.spool.iterdir()))
    calls = {
        told[1]
        for line in trace.read_text().splitlines()
        if str(role.folder) in line and (told := re.match(r"\d+ +(\w+)\(", line))
    }
    assert calls > {"writev", "fsync", "renameat2"}
    assert calls - {"close"} <= set(CALLS)
    for path in role.inbox.arrived.iterdir():
        path.unlink()


@pytest.mark.parametrize("code", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("call", CALLS)
def test_whatever_fails_nothing_is_answered_that_is_not_whole(
    role: Role, call: str, code: str
) -> None:
    """0x0000 only for what lies whole in `arrived`, else A700; then it takes instances again."""
    assert role.process
    hits = 0
    for at in range(1, MOST):
        with failing(role, call, code, at) as trace:
            answers = _sent(role, 1_000_000 + at * INSTANCES)
            time.sleep(0.05)  # what an association does after its release
        lines = trace.read_text().splitlines()
        failed = [line for line in lines if "(INJECTED)" in line]
        if not failed:
            break
        hits += 1
        if call in ALL_COUNT and any("/spool/" in line for line in failed):
            assert Status.OUT_OF_RESOURCES in {status for status, _ in answers.values()}, failed
        kept = {read_header(path).sop_instance_uid: path for path in role.inbox.arrived.iterdir()}
        for uid, (status, dataset) in answers.items():
            assert status in (Status.SUCCESS, Status.OUT_OF_RESOURCES), (at, status)
            if status == Status.SUCCESS:
                assert kept[uid].read_bytes().endswith(dataset), at
        for path in kept.values():
            path.unlink()
        assert wait_until(lambda: _takes_instances(role, 1), 100), (at, lines)
    assert hits
    assert at < MOST - 1
    assert role.process.poll() is None
    _nothing_is_left(role, call)


def _nothing_is_left(role: Role, call: str) -> None:
    if call in ("unlink", "rmdir", "getdents64", "newfstatat", "openat"):
        # What could not be removed, or listed to be removed, is left for the next start.
        assert role.stop() == 0
        role.start()
    assert wait_until(lambda: not list(role.inbox.spool.iterdir()))
    whole = re.compile(r"[0-9a-z]{10}-\d{6}\.dcm")
    assert all(whole.fullmatch(path.name) for path in role.inbox.arrived.iterdir())
    for path in role.inbox.arrived.iterdir():
        path.unlink()
