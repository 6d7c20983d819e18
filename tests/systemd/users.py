"""The users, groups and folders of systemd/, made for a test from the files that ship."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SHIPPED = Path(__file__).parents[2] / "systemd"
#: Numbers that nobody has; the kernel asks for no name.
FIRST_ID = 61_700


@functools.cache
def python_for_all() -> str:
    """Give a Python of this version that any user may start, "" if there is none.

    The one that runs the tests may lie in somebody's home.
    """
    for candidate in (sys.executable, "/usr/bin/python3"):
        try:
            told = subprocess.run(
                [candidate, "-c", "import node.cli, sys; print(sys.version_info[:2])"],
                user=FIRST_ID, group=FIRST_ID, extra_groups=[], cwd="/", capture_output=True,
                env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}, text=True, check=False,
            )  # fmt: skip
        except OSError:
            continue
        if told.stdout.strip() == str(sys.version_info[:2]):
            return candidate
    return ""


@dataclass(frozen=True)
class User:
    """A role's user as its unit runs it."""

    uid: int
    group: int
    groups: tuple[int, ...]

    def start(
        self, *command: str, log: IO[bytes] | int, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a Python command as this user, with the unit's umask."""
        return subprocess.Popen(
            [python_for_all(), *command], user=self.uid, group=self.group,
            extra_groups=self.groups, umask=0o007, cwd="/",
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | environment,
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *command: str) -> tuple[int, str]:
        """Run a Python command as this user; give its exit code and what it printed."""
        process = self.start(*command, log=subprocess.PIPE)
        printed, _ = process.communicate(timeout=60)
        return process.returncode, printed.decode()


def users() -> dict[str, User]:
    """Read who runs each role from the units, and number users and groups."""
    groups = {"root": 0, "deid-inbox": FIRST_ID, "deid-outbox": FIRST_ID + 1}
    found = {}
    for number, role in enumerate(("receive", "process", "forward", "web")):
        unit = dict(
            line.split("=", 1)
            for line in (SHIPPED / f"deid-node-{role}.service").read_text().splitlines()
            if "=" in line and not line.startswith("#")
        )
        also = [groups[name] for name in unit.get("SupplementaryGroups", "").split()]
        found[unit["User"]] = User(FIRST_ID + 10 + number, groups[unit["Group"]], tuple(also))
    return found


def make_folders(root: Path, known: dict[str, User]) -> None:
    """Make what tmpfiles.d makes, below `root` instead of /var/lib/deid-node."""
    groups = {"root": 0, "deid-inbox": FIRST_ID, "deid-outbox": FIRST_ID + 1}
    for line in (SHIPPED / "tmpfiles.d" / "deid-node.conf").read_text().splitlines():
        if not line.startswith("d /var/lib/deid-node"):
            continue
        _, path, mode, owner, group, _ = line.split()
        folder = root / Path(path).relative_to("/var/lib/deid-node")
        folder.mkdir(exist_ok=True)
        os.chown(folder, known[owner].uid if owner in known else 0, groups[group])
        folder.chmod(int(mode, 8))
