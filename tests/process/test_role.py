"""The role as a program: what it refuses to start with, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from node import disk
from node.config import NodeConfig
from node.process import role
from node.process.keys import KeyRefused, settle_key
from tests.factories import make_instance
from tests.process.conftest import Door


def refusal(config: NodeConfig, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run the role where it cannot work: its exit code and what it says."""
    code = role.run(config)
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, "one clear line"
    return code, lines[0]


def test_the_key_is_made_at_the_first_start_only(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once something was received with it, a missing key stops the role with exit 2."""
    key = door.config.keys_dir / "pseudonym.key"
    assert key.stat().st_mode & 0o777 == 0o600
    door.arrive(make_instance())
    door.tick()
    door.close()
    key.rename(key.with_name("elsewhere"))
    code, text = refusal(door.config, capsys)
    assert (code, "is missing" in text) == (2, True)
    assert not key.exists()


def test_another_key_is_refused(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    """Pseudonyms of two keys do not fit together."""
    door.arrive(make_instance())
    door.tick()
    door.close()
    key = door.config.keys_dir / "pseudonym.key"
    key.write_bytes(bytes(32))
    code, text = refusal(door.config, capsys)
    assert (code, "another key" in text) == (2, True)
    key.chmod(0o644)
    assert refusal(door.config, capsys)[0] == 2


def test_another_key_is_taken_while_nothing_was_made_with_the_first(door: Door) -> None:
    """An empty node may get its key from elsewhere."""
    key = door.config.keys_dir / "pseudonym.key"
    key.write_bytes(bytes(32))
    with door.place.index.begin() as conn:
        assert settle_key(key, door.inbox, door.outbox, conn) == bytes(32)
        (door.outbox.releases / "abcd1234-g1").mkdir()
        key.write_bytes(bytes(31) + b"1")
        with pytest.raises(KeyRefused):
            settle_key(key, door.inbox, door.outbox, conn)


def test_a_second_one_on_the_same_folder_is_refused(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two doors would be two writers."""
    lock = disk.lock_file(door.inbox.locks / "process.lock")
    code, text = refusal(door.config, capsys)
    os.close(lock)
    assert (code, "another `process`" in text) == (1, True)


def test_every_mistake_of_a_profile_is_told(
    make_door: Callable[..., Door], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A profile that does not load stops the role with exit 2."""
    door = make_door()
    door.close()
    (tmp_path / "bad.toml").write_text('base = "basic"\noptions = ["clean-pixel-data", "x"]\n')
    config = NodeConfig(
        node={"data_dir": door.config.node.data_dir},
        routes=[{"name": "r", "destinations": ["d"], "profile": str(tmp_path / "bad.toml")}],
    )
    code, text = refusal(config, capsys)
    assert (code, "clean-pixel-data" in text) == (2, True)


def test_a_term_ends_it_with_the_work_recorded(tmp_path: Path) -> None:
    """SIGTERM drains: exit 0, the lock is free, the workers are gone."""
    (tmp_path / "node.toml").write_text(f'[node]\ndata_dir = "{tmp_path / "data"}"\n')
    with subprocess.Popen(
        [sys.executable, "-m", "node", "process", "-c", str(tmp_path / "node.toml")],
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"role_started" in line:
                break
        lock = tmp_path / "data" / "inbox" / "locks" / "process.lock"
        assert disk.is_locked(lock)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(timeout=30) == 0
        assert b"role_stopped" in rest
        assert time.monotonic() - started < 30
        assert not disk.is_locked(lock)


def test_a_role_that_is_killed_leaves_no_folder_behind_for_good(tmp_path: Path) -> None:
    """Its fork server's socket lies in a folder of its own, which the next run takes over."""
    (tmp_path / "node.toml").write_text(f'[node]\ndata_dir = "{tmp_path / "data"}"\n')
    with tempfile.TemporaryDirectory(prefix="t") as short:  # a socket's path has 107 bytes
        for end in (signal.SIGKILL, signal.SIGTERM):
            with subprocess.Popen(
                [sys.executable, "-m", "node", "process", "-c", str(tmp_path / "node.toml")],
                stderr=subprocess.PIPE,
                env={**os.environ, "TMPDIR": short},
            ) as process:
                assert process.stderr is not None
                for line in process.stderr:
                    if b"role_started" in line:
                        break
                (own,) = Path(short).iterdir()
                assert len(list(own.glob("pymp-*"))) == 1, "what the run before left is gone"
                process.send_signal(end)
                process.stderr.read()
        assert list(Path(short).iterdir()) == []
