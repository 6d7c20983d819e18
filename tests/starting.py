"""Commands of the node as tests start them; none outlives the test run, however that ends."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
COMMAND = (sys.executable, "-m", "node")
#: Generous: a loaded machine is slow, and only a hang must fail.
PATIENCE = 120.0


def start(
    verb: str, config: Path, log: Path, own_group: bool = False, **environment: str
) -> subprocess.Popen[bytes]:
    """Start `deid-node VERB -c CONFIG`; what it prints is added to `log`.

    `own_group`: in a process group of its own, which can be killed at once.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            [*COMMAND, verb, "-c", str(config)],
            stdout=output, stderr=output, env={**os.environ, **environment},
            start_new_session=own_group, preexec_fn=_end_with_the_test,  # noqa: PLW1509 -- one call that takes no lock
        )  # fmt: skip


def logged(log: Path, name: str) -> list[dict[str, Any]]:
    """Give the events of one name in a log that is still written to."""
    whole, _, _unfinished = log.read_text(encoding="utf-8").rpartition("\n")
    events = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
    return [event for event in events if event["event"] == name]


def _end_with_the_test() -> None:
    """Have the kernel stop the command when the test run itself is killed."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
