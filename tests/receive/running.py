"""The receive role as a process of its own, as it is run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from node.inbox.layout import Inbox
from tests.ports import free_port
from tests.receive.receiving import wait_until


@dataclass
class Role:
    """A receive role that can be started, killed and started again."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def inbox(self) -> Inbox:
        """Its inbox."""
        return Inbox(self.folder / "inbox")

    @property
    def log(self) -> list[dict[str, object]]:
        """What it logged, all starts together."""
        lines = (self.folder / "log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def start(self) -> None:
        """Start it and wait until it listens, on each of its ports."""
        before = self._starts()
        self.process = self.spawn()
        assert wait_until(lambda: self._starts() > before, 100)

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start it as the supervisor does."""
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "node", "receive", "-c", str(self.folder / "node.toml")],
                stderr=log,
                stdout=log,
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it and give its exit code."""
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(100)

    def _starts(self) -> int:
        log = self.folder / "log"
        return log.read_bytes().count(b'"role_started"') if log.exists() else 0


@contextmanager
def a_role(folder: Path) -> Iterator[Role]:
    """Give a role with a configuration, not started; it is killed at the end."""
    role = Role(folder, free_port())
    (folder / "node.toml").write_text(
        f'[node]\ndata_dir = "{folder}"\n'
        f'[receive]\nhost = "127.0.0.1"\nport = {role.port}\nmin_free_bytes = 0\n'
    )
    try:
        yield role
    finally:
        if role.process and role.process.poll() is None:
            role.process.kill()
            role.process.wait()
