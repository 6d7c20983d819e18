"""The role as systemd sees it: it says that it is ready, that it lives, and ends when told to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.web.filled import node_folder

PATIENCE = 120


@pytest.mark.parametrize("with_page", [True, False], ids=["a page", "port 0"])
def test_a_unit_of_type_notify_with_a_watchdog_stays_up(tmp_path: Path, with_page: bool) -> None:
    """Without READY=1 the start times out, without WATCHDOG=1 the role is killed, page or none."""
    port = free_port() if with_page else 0
    node_folder(tmp_path, f"[web]\nport = {port}\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE)
        role = subprocess.Popen(
            [sys.executable, "-m", "node", "web", "-c", str(tmp_path / "node.toml")],
            env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")},
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            wanted = {b"READY=1", b"WATCHDOG=1"}
            while wanted:
                wanted.discard(systemd.recv(1024))
        finally:
            role.send_signal(signal.SIGTERM)
            _, log = role.communicate(timeout=PATIENCE)
    assert role.returncode == 0
    events = [json.loads(line)["event"] for line in log.splitlines()]
    life = [event for event in events if event.startswith("role_")]
    assert life == ["role_started", "role_stopping", "role_stopped"]
