"""Senders are forked from a server of their own, not from the one that other tests left running.

Python keeps one such server per process; the workers' one has left the network.
"""

from __future__ import annotations

from multiprocessing import forkserver
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_ours: set[int] = set()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """End a server that is not ours."""
    server = forkserver._forkserver
    if server._forkserver_pid not in {None, *_ours}:
        server._stop()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Keep ours for the next test here, and leave none to tests elsewhere."""
    server = forkserver._forkserver
    if server._forkserver_pid is not None:
        _ours.add(server._forkserver_pid)
    if nextitem is None or _HERE not in nextitem.path.parents:
        server._stop()
