"""The real command, started as its user starts it, watched through its own `status --json`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.starting import COMMAND, PATIENCE, logged, start


@dataclass
class RunningNode:
    """`deid-node run` in a process group of its own."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def config(self) -> Path:
        """Its node.toml."""
        return self.folder / "node.toml"

    @property
    def data(self) -> Path:
        """Its data_dir."""
        return self.folder / "data"

    def cli(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run another `deid-node` command on the same configuration."""
        return subprocess.run(
            [*COMMAND, *arguments, "-c", str(self.config)],
            capture_output=True, text=True, timeout=PATIENCE, check=False, input=stdin,
        )  # fmt: skip

    def status(self) -> dict[str, Any]:
        """Give what `status --json` prints."""
        done = self.cli("status", "--json")
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def wait_until(self, holds: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait until the status satisfies a condition; fail with the last status."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            status = self.status()
            if holds(status):
                return status
            time.sleep(0.2)
        raise AssertionError(
            f"{what} did not come about: {json.dumps(status)}\n{self.log()[-4000:]}"
        )

    def wait_started(self, *more_ports: int) -> None:
        """Wait until every role lives and the ports answer: a role lives before it listens."""
        self.wait_until(
            lambda status: all(alive is True for alive in status["roles"].values()), "start"
        )
        deadline = time.monotonic() + PATIENCE
        for port in (self.port, *more_ports):
            while not _listens(port):
                assert time.monotonic() < deadline, self.log()[-4000:]
                time.sleep(0.05)

    def wait_settled(self, received: int) -> dict[str, Any]:
        """Wait until nothing is pending anywhere and all that was sent is accounted for."""

        def settled(status: dict[str, Any]) -> bool:
            count = status["conservation"]
            return bool(
                count["received"] == received
                and count["pending"] == 0
                and all(d["pending"] == 0 for d in status["destinations"])
                and sum(d["delivered"] + d["committed"] for d in status["destinations"])
                >= count["released"]
            )

        return self.wait_until(settled, f"settling of {received} instances")

    def log(self) -> str:
        """Give what the node has printed so far."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def events(self, name: str) -> list[dict[str, Any]]:
        """Give the log's events of one name."""
        return logged(self.folder / "log", name)

    def role_pid(self, role: str) -> int:
        """Find a role's process among the children of `run`, as `ps` would show it."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text()
                name = (entry / "comm").read_text().strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parent = int(stat.rsplit(")", 1)[1].split()[1])
            if parent == self.process.pid and name == f"deid-{role}":
                return int(entry.name)
        raise AssertionError(f"no process is named deid-{role}")

    def stop(self) -> int:
        """Send SIGTERM, as systemd does, and wait for the drain."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE)

    def kill_tree(self) -> None:
        """Send SIGKILL to every process of the node at once, as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=PATIENCE)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10):
        return True
    return False


def write_config(folder: Path, pacs_port: int, port: int, extra: str = "") -> Path:
    """Write a small real configuration: one route, one research PACS."""
    path = folder / "node.toml"
    path.write_text(
        f"""
[node]
data_dir = "{folder / "data"}"
[receive]
host = "127.0.0.1"
port = {port}
min_free_bytes = 0
[completion]
quiet_seconds = 1
[forward]
port = 0
retry_first_seconds = 0.3
retry_max_seconds = 1
[web]
port = 0
[[routes]]
name = "trial"
destinations = ["research"]
[[destinations]]
name = "research"
type = "dicom"
ae_title = "RESEARCH"
host = "127.0.0.1"
port = {pacs_port}
{extra}
""",
        encoding="utf-8",
    )
    return path


@contextmanager
def running_node(
    folder: Path, pacs_port: int, extra: str = "", changed: Mapping[str, str] | None = None
) -> Iterator[RunningNode]:
    """Run a node while the block runs; nothing of it is left afterwards.

    `extra` goes to the end of node.toml; `changed` replaces texts in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = write_config(folder, pacs_port, port, extra)
    for old, new in (changed or {}).items():
        config.write_text(config.read_text().replace(old, new))
    process = start("run", config, folder / "log", own_group=True)
    node = RunningNode(folder, port, process)
    try:
        node.wait_started()
        yield node
    finally:
        if process.poll() is None:
            node.stop()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
