"""The receivers that are measured against each other, each started fresh with an empty disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import port_for
from mirakuru import TCPExecutor

from bench.usage import cpu_seconds

LOCAL = "127.0.0.1"
#: Debian's DCMTK leaves Nagle's algorithm on unless this is set.
TUNED = {**os.environ, "TCP_NODELAY": "1"}
ORTHANC = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_PATIENCE = 60


@dataclass(frozen=True)
class Receiver:
    """A receiver that runs now."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Give user and system seconds so far, of the receiver and its children."""
        return cpu_seconds(self.pid)

    def peak_megabytes(self) -> float:
        """Give the most memory that it has held, in MB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024


Start = Callable[[Path, bool], Iterator[Receiver]]


@contextmanager
def ours(folder: Path, tuned: bool = True) -> Iterator[Receiver]:
    """`deid-node receive`, all syncs on, and `deid-node process` beside it."""
    del tuned  # there is nothing to tune
    port, config = _configured(folder)
    with ExitStack() as stack:
        command = [sys.executable, "-m", "node", "process", "-c", str(config)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        time.sleep(3)
        yield stack.enter_context(_receive(config, port))


@contextmanager
def receive_alone(folder: Path) -> Iterator[Receiver]:
    """`deid-node receive`, all syncs on, and nobody who takes what arrives."""
    port, config = _configured(folder)
    with _receive(config, port) as receiver:
        yield receiver


def _configured(folder: Path) -> tuple[int, Path]:
    port = port_for.select_random()
    config = folder / "node.toml"
    config.write_text(
        f'[node]\ndata_dir = "{folder / "data"}"\n[receive]\nport = {port}\nhost = "{LOCAL}"\n'
        '[log]\nlevel = "warning"\n'
    )
    return port, config


def _receive(config: Path, port: int) -> AbstractContextManager[Receiver]:
    return _running([sys.executable, "-m", "node", "receive", "-c", str(config)], port)


@contextmanager
def orthanc(folder: Path, tuned: bool = True) -> Iterator[Receiver]:
    """Orthanc with its defaults; it syncs every file."""
    port = port_for.select_random()
    config = folder / "orthanc.json"
    settings = {
        "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
        "DicomPort": port, "HttpPort": port_for.select_random(), "DicomAlwaysAllowStore": True,
        "StableAge": 3600, "Plugins": [],
    }  # fmt: skip
    config.write_text(json.dumps(settings))
    with _running([str(ORTHANC), str(config)], port, tuned) as receiver:
        yield receiver


@contextmanager
def storescp(folder: Path, tuned: bool = True) -> Iterator[Receiver]:
    """DCMTK's storescp at its best, one association; it never syncs."""
    port = port_for.select_random()
    out = folder / "out"
    out.mkdir()
    command = ["storescp", "+B", "-pdu", "131072", "-od", str(out), str(port)]
    with _running(command, port, tuned) as receiver:
        yield receiver


@contextmanager
def storescp_fork(folder: Path, tuned: bool = True) -> Iterator[Receiver]:
    """DCMTK's storescp with a process per association; it never syncs."""
    port = port_for.select_random()
    out = folder / "out"
    out.mkdir()
    command = ["storescp", "--fork", "+B", "-pdu", "131072", "-od", str(out), str(port)]
    with _running(command, port, tuned) as receiver:
        yield receiver


@contextmanager
def pynetdicom(folder: Path, tuned: bool = True) -> Iterator[Receiver]:
    """Stock pynetdicom's storescp as shipped; it never syncs."""
    port = port_for.select_random()
    command = [
        sys.executable,
        "-m",
        "pynetdicom",
        "storescp",
        str(port),
        "-od",
        str(folder / "out"),
    ]
    with _running(command, port, tuned) as receiver:
        yield receiver


@contextmanager
def _running(command: list[str], port: int, tuned: bool = True) -> Iterator[Receiver]:
    environment = TUNED if tuned else {k: v for k, v in os.environ.items() if k != "TCP_NODELAY"}
    executor = TCPExecutor(
        command, LOCAL, port, shell=False, timeout=_PATIENCE, envvars=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with executor:
        yield Receiver(port, executor.process.pid)  # type: ignore[union-attr]
