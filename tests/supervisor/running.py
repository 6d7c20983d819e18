"""A supervisor over roles that are played by a small script, watched through a diary."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Plays `python -m node ROLE`: writes its diary, and ends as its plan (a file) says.
ROLE = """
import os, signal, subprocess, sys, time
from pathlib import Path
here, role = Path(sys.argv[0]).parent, sys.argv[3]

def tell(what):
    with (here / "diary").open("a") as diary:
        diary.write(f"{role} {what} {os.getpid()}\\n")

stops = []
signal.signal(signal.SIGTERM, lambda *_: stops.append(1))
plan = here / f"{role}.plan"
does = plan.read_text() if plan.exists() else "stay"
tell("starts")
if does.startswith("exit "):
    sys.exit(int(does[5:]))
if does == "crash once":
    plan.unlink()
    os.kill(os.getpid(), signal.SIGKILL)
if does == "worker":
    child = subprocess.Popen(["sleep", "600"])
    (here / "worker").write_text(str(child.pid))
while not stops or does == "deaf":
    time.sleep(0.02)
tell("stops")
"""

SUPERVISE = """
import sys
from pathlib import Path
import node.supervisor as supervisor
from node.config import NodeConfig
from node.config.sections import NodeSection
from node import observe
observe.set_up_logging("json", "info", "run")
folder = Path(sys.argv[1])
supervisor.FIRST_BACKOFF_SECONDS = 0.2
supervisor.STOP_SECONDS = float(sys.argv[2])
sys.executable = str(folder / "python")
config = NodeConfig(node=NodeSection(data_dir=folder / "data"))
sys.exit(supervisor.supervise(config, None))
"""


@dataclass
class Supervised:
    """A supervisor in a process of its own."""

    folder: Path
    process: subprocess.Popen[bytes]

    def diary(self) -> list[tuple[str, str]]:
        """Give what the roles did so far, in order: (role, what)."""
        return [(role, what) for role, what, _ in self._lines()]

    def pids(self, role: str) -> list[int]:
        """Give the process ids that a role has had."""
        return [int(pid) for name, what, pid in self._lines() if (name, what) == (role, "starts")]

    def wait_until(self, holds: Callable[[], bool], seconds: float = 120) -> None:
        """Wait for a condition; fail with the diary."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"{self._lines()}\n{self.log()}"
            time.sleep(0.02)

    def wait_started(self) -> None:
        """Wait until all four roles have started."""
        self.wait_until(lambda: len({role for role, what in self.diary() if what == "starts"}) == 4)

    def stop(self) -> int:
        """Ask it to stop as systemd does and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)

    def log(self) -> str:
        """Give what it has logged."""
        return (self.folder / "log").read_text()

    def _lines(self) -> list[tuple[str, str, str]]:
        path = self.folder / "diary"
        if not path.exists():
            return []
        lines = [line.rsplit(" ", 2) for line in path.read_text().splitlines()]
        return [(role, what, pid) for role, what, pid in lines]


def start(folder: Path, plans: dict[str, str], stop_seconds: float = 10) -> Supervised:
    """Start a supervisor over roles with these plans; a role without one stays until told."""
    python = folder / "python"
    python.write_text(f"#!{sys.executable} -S\n{ROLE}")
    python.chmod(0o755)
    for role, plan in plans.items():
        (folder / f"{role}.plan").write_text(plan)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, str(folder), str(stop_seconds)], stderr=log
        )
    return Supervised(folder, process)


def lives(pid: int) -> bool:
    """Tell whether a process is there and not a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"
