"""Jobs in processes of their own: what ends one ends no other, and none outlives its parent."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.pool import Ended, Limits, Pool, default_slots
from node.pool.pool import cgroup_cores

LIMITS = Limits(memory_bytes=512 * 1024 * 1024, cpu_seconds=30)


def double(number: int) -> int:
    """Do a job."""
    return 2 * number


def kill_myself(_message: Any) -> None:
    """Die as by the kernel's hand."""
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(seconds: float) -> None:
    """Hang."""
    time.sleep(seconds)


def loop(_message: Any) -> None:
    """Compute without end."""
    while True:
        pass


def fill_memory(size: int) -> int:
    """Take more memory than allowed."""
    return len(bytearray(size))


def fail(text: str) -> None:
    """Raise what nobody foresaw."""
    raise ZeroDivisionError(text)


def look_around(_message: Any) -> dict[str, Any]:
    """Tell how this process is held."""
    try:
        with socket.create_connection(("192.0.2.1", 80), timeout=0.2):
            network = "open"
    except OSError as error:
        network = type(error).__name__ if isinstance(error, TimeoutError) else "closed"
    return {
        "name": Path("/proc/self/comm").read_text().strip(),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "memory": resource.getrlimit(resource.RLIMIT_AS)[0],
        "network": network,
        "nice": os.nice(0),
        "parent": Path(f"/proc/{os.getppid()}/comm").read_text().strip(),
    }


def tell_policy(_message: Any) -> int:
    """Tell how the scheduler takes this process."""
    return os.sched_getscheduler(0)


@pytest.fixture
def pool() -> Iterator[Pool]:
    """Make a pool of two slots."""
    pool = Pool(2)
    yield pool
    pool.stop()


def run(pool: Pool, job: Any, message: Any, timeout: float = 60) -> Ended:
    """Run one job to its end."""
    pool.start(7, job, message, timeout, LIMITS)
    for _ in range(600):
        for ended in pool.collect(0.1):
            return ended
    raise AssertionError("the job never ended")


def test_a_job_answers(pool: Pool) -> None:
    """A reply comes back under the caller's number, and the slot is free again."""
    assert run(pool, double, 21) == Ended(7, reply=42)
    assert pool.free == 2


def test_deaths_are_told_apart_and_the_pool_goes_on(pool: Pool) -> None:
    """Killed, hanging, out of memory, failing: each ends its own job, in words."""
    assert run(pool, kill_myself, None).death == "its process died (exit code -9)"
    assert run(pool, sleep, 60, timeout=0.3).death == "took longer than it may"
    assert run(pool, fill_memory, 2 * 1024**3).death == "raised MemoryError"
    ended = run(pool, fail, "a value")
    assert (ended.death, type(ended.error)) == ("raised ZeroDivisionError", ZeroDivisionError)
    assert run(pool, double, 1).reply == 2


def test_a_job_that_only_computes_is_ended_by_its_share_of_cpu(pool: Pool) -> None:
    """A loop without end takes no core for longer than a job may, whatever the wall clock says."""
    pool.start(7, loop, None, 100, replace(LIMITS, cpu_seconds=1))
    (ended,) = pool.collect(100)
    assert ended.death == f"its process died (exit code -{signal.SIGXCPU.value})"


def test_a_job_may_be_killed_and_no_other_with_it(pool: Pool) -> None:
    """By its number; a number that runs no more is nobody's."""
    pool.start(7, sleep, 60, 60, LIMITS)
    pool.start(8, double, 4, 60, LIMITS)
    pool.kill(7, 9)
    ended = {}
    while len(ended) < 2:
        ended |= {one.token: one for one in pool.collect(1.0)}
    assert (ended[7].death, ended[8].reply) == ("its process died (exit code -9)", 8)


def test_a_jobs_process_is_held_in(pool: Pool) -> None:
    """It has a name, no core file, bounded memory, no network, and comes from the fork server."""
    around = run(pool, look_around, None).reply
    assert around["name"] == "deid-worker"
    assert around["core"] == (0, 0)
    assert LIMITS.memory_bytes < around["memory"] < LIMITS.memory_bytes + 4 * 1024**3
    assert around["network"] == "closed"
    assert around["nice"] >= 10, "who waits for an answer to a C-STORE goes first"
    # pytest's process has one fork server, and forward's tests may have been the first to name it.
    assert around["parent"] in ("deid-forkserver", "deid-sendserver")


def test_a_job_of_spare_time_takes_what_nobody_else_wants(pool: Pool) -> None:
    """The scheduler gives it what the other roles leave, which may be next to nothing."""
    pool.start(7, tell_policy, None, 100, replace(LIMITS, spare_time=True))
    (ended,) = pool.collect(100)
    assert ended.reply == os.SCHED_IDLE


def test_the_fork_server_may_be_killed(pool: Pool) -> None:
    """A new one is started for the next job."""
    from multiprocessing.forkserver import _forkserver  # noqa: PLC0415 -- to kill it

    run(pool, double, 1)
    os.kill(_forkserver._forkserver_pid, signal.SIGKILL)
    time.sleep(0.1)
    assert run(pool, double, 4).reply == 8


def test_no_worker_outlives_its_parent_however_it_dies() -> None:
    """SIGKILL of the role takes the fork server and every job with it."""
    program = (
        "import time\n"
        "from node.pool import Pool\n"
        "from tests.pool.test_pool import LIMITS, sleep\n"
        "pool = Pool(2)\n"
        "for number in range(2): pool.start(number, sleep, 60, 60, LIMITS)\n"
        "print('started', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        deadline = time.monotonic() + 100
        while len(family := descendants(parent.pid)) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(family) >= 3
        parent.kill()
    while any(alive(pid) for pid in family):
        assert time.monotonic() < deadline, "an orphan is left"
        time.sleep(0.05)


def descendants(pid: int) -> list[int]:
    """List the processes below one."""
    children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(grand for child in children for grand in descendants(child))]


def alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_slots_are_as_many_as_cores_and_at_most_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool is sized by what we may use of the machine."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(64)))
    assert 1 <= default_slots() <= 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0})
    assert default_slots() == 1


def test_a_container_s_limit_of_cores_counts(tmp_path: Path) -> None:
    """The tightest cpu.max on the way up; `max`, or no file, is no limit."""
    own, root = tmp_path / "cgroup", tmp_path / "fs"
    group = root / "node" / "process"
    group.mkdir(parents=True)
    own.write_text("0::/node/process\n")
    assert cgroup_cores(own, root) is None
    (group / "cpu.max").write_text("max 100000\n")
    assert cgroup_cores(own, root) is None
    (root / "node" / "cpu.max").write_text("150000 100000\n")
    assert cgroup_cores(own, root) == 1.5
    (group / "cpu.max").write_text("400000 100000\n")
    assert cgroup_cores(own, root) == 1.5
    own.write_text("nonsense")
    assert cgroup_cores(own, root) is None
