"""Ports that a test may hand out before anything listens on them."""

from __future__ import annotations

import os

import port_for

_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
#: Outside the range from which the kernel gives ports to whoever asks for any.
#: A worker that replaces one has a higher number than there are workers.
_left = {port for port in port_for.available_good_ports() if port % _WORKERS == _WORKER % _WORKERS}


def free_port() -> int:
    """Give a port that is free; none twice, and none that another pytest worker may give."""
    port = port_for.select_random(_left)
    _left.discard(port)
    return port
