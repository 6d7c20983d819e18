"""`run` keeps four roles alive, and stops them in order."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.supervisor.running import Supervised, lives, start

Start = Callable[..., Supervised]


@pytest.fixture(name="start_over")
def _start_over(tmp_path: Path) -> Iterator[Start]:
    """Start supervisors in tmp_path; whatever a test leaves behind is ended after it."""
    started: list[Supervised] = []

    def start_over(**options: float | dict[str, str]) -> Supervised:
        plans = options.pop("plans", {})
        started.append(start(tmp_path, plans, **options))  # type: ignore[arg-type] -- test options
        return started[-1]

    yield start_over
    for supervised in started:
        supervised.process.kill()
        supervised.process.wait()
        for role in ("receive", "process", "forward", "web"):
            for pid in supervised.pids(role):
                if lives(pid):
                    os.kill(pid, signal.SIGKILL)


def test_sigterm_stops_the_roles_from_the_wire_inwards(start_over: Start) -> None:
    """Receive stops first, so that nothing new comes; then process, forward, web."""
    supervised = start_over()
    supervised.wait_started()
    assert supervised.stop() == 0
    stops = [role for role, what in supervised.diary() if what == "stops"]
    assert stops == ["receive", "process", "forward", "web"]


def test_a_role_that_crashes_is_started_again(start_over: Start) -> None:
    """The others do not notice."""
    supervised = start_over(plans={"forward": "crash once"})
    supervised.wait_started()
    supervised.wait_until(lambda: len(supervised.pids("forward")) == 2)
    assert [len(supervised.pids(role)) for role in ("receive", "process", "web")] == [1, 1, 1]
    assert '"event": "role_died"' in supervised.log()
    assert supervised.stop() == 0


def test_a_role_that_is_killed_later_is_started_again(start_over: Start) -> None:
    """SIGKILL of a role, as the kernel's out-of-memory killer does."""
    supervised = start_over()
    supervised.wait_started()
    os.kill(supervised.pids("process")[0], signal.SIGKILL)
    supervised.wait_until(lambda: len(supervised.pids("process")) == 2)


@pytest.mark.parametrize("code", [1, 2])
def test_a_role_that_cannot_start_stops_the_node_with_its_code(
    start_over: Start, code: int
) -> None:
    """2 is the configuration or the key, 1 such as a port in use: trying again would not help."""
    supervised = start_over(plans={"receive": f"exit {code}"})
    assert supervised.process.wait(timeout=120) == code
    for role in ("process", "forward", "web"):
        assert not any(lives(pid) for pid in supervised.pids(role))


def test_a_role_that_does_not_stop_is_killed(start_over: Start) -> None:
    """The others still get their turn to drain."""
    supervised = start_over(plans={"receive": "deaf"}, stop_seconds=0.5)
    supervised.wait_started()
    assert supervised.stop() == 0
    stops = [role for role, what in supervised.diary() if what == "stops"]
    assert stops == ["process", "forward", "web"]
    assert not lives(supervised.pids("receive")[0])


def test_a_second_signal_makes_haste(start_over: Start) -> None:
    """An operator who asks twice does not wait for the drain."""
    supervised = start_over(plans={"receive": "deaf"}, stop_seconds=600)
    supervised.wait_started()
    supervised.process.send_signal(signal.SIGINT)
    supervised.wait_until(lambda: "role_stopping" in supervised.log())
    assert supervised.stop() == 0


def test_the_roles_end_with_a_supervisor_that_is_killed(start_over: Start) -> None:
    """They are told to drain, and no second node finds them in its way for long."""
    supervised = start_over()
    supervised.wait_started()
    supervised.process.kill()
    supervised.wait_until(lambda: sum(what == "stops" for _, what in supervised.diary()) == 4)


def test_the_worker_of_a_killed_role_is_ended_too(start_over: Start) -> None:
    """A worker whose role is gone would write beside the worker of the next one."""
    supervised = start_over(plans={"process": "worker"})
    supervised.wait_started()
    supervised.wait_until((supervised.folder / "worker").exists)
    supervised.wait_until(lambda: bool((supervised.folder / "worker").read_text()))
    worker = int((supervised.folder / "worker").read_text())
    os.kill(supervised.pids("process")[0], signal.SIGKILL)
    supervised.wait_until(lambda: not lives(worker))


def test_a_second_supervisor_on_the_same_data_does_not_start(start_over: Start) -> None:
    """One clear line that names the folder; exit 1; the first goes on."""
    first = start_over()
    first.wait_started()
    second = start_over()
    assert second.process.wait(timeout=120) == 1
    assert str(first.folder / "data") in second.log()
    assert first.process.poll() is None
