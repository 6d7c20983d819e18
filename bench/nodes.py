"""The systems that receive, de-identify and forward, each started fresh with an empty disk."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import port_for
from mirakuru import TCPExecutor

from bench.receivers import LOCAL, ORTHANC, TUNED
from bench.usage import cpu_seconds

QUIET_SECONDS = 1
_PATIENCE = 60
#: Of a core: less than this is not starting any more.
_IDLE_SHARE = 0.1
#: What the bench sends is made up: ultrasound leaves without a person's look.
_PROFILE = 'base = "basic"\n[pixels]\nultrasound = "pass"\nburned-in-unknown = "pass"\n'
#: Anonymize what came and is stable, and forward it; what is anonymized comes back here as stable.
_LUA = """
function OnStableStudy(study, tags, metadata)
  if metadata['AnonymizedFrom'] == nil then
    print('STABLE')
    local made = ParseJson(RestApiPost('/studies/' .. study .. '/anonymize', '{}', true))
    RestApiPost('/modalities/sink/store', made['ID'], true)
  end
end
"""


@dataclass(frozen=True)
class System:
    """A system that runs now: its port, its first process, and when it took studies as whole."""

    port: int
    pid: int
    completed: Callable[[], list[float]]


def _config(port: int, sink: int, folder: Path) -> str:
    return f"""
[node]
data_dir = "{folder / "data"}"
[receive]
host = "{LOCAL}"
port = {port}
[completion]
quiet_seconds = {QUIET_SECONDS}
[forward]
port = 0
[web]
port = {port_for.select_random()}
[[routes]]
name = "bench"
profile = "bench.toml"
destinations = ["sink"]
[[destinations]]
name = "sink"
type = "dicom"
ae_title = "SINK"
host = "{LOCAL}"
port = {sink}
"""


@contextmanager
def ours(folder: Path, sink: int) -> Iterator[System]:
    """`deid-node run`: all four roles, every sync, validation, ledger and audit on."""
    port = port_for.select_random()
    (folder / "bench.toml").write_text(_PROFILE)
    config = folder / "node.toml"
    config.write_text(_config(port, sink, folder))
    log = folder / "log"
    command = [sys.executable, "-m", "node", "run", "-c", str(config)]

    def completed() -> list[float]:
        events = (json.loads(line) for line in log.read_text().splitlines() if line[:1] == "{")
        return [
            datetime.fromisoformat(event["timestamp"]).timestamp()
            for event in events
            if event["event"] == "study_completed"
        ]

    with log.open("wb") as out:
        executor = TCPExecutor(
            command, LOCAL, port, shell=False, timeout=_PATIENCE, stdout=out, stderr=out
        )
        with executor:
            _wait_for_roles(config)
            _wait_until_idle(executor.process.pid)  # type: ignore[union-attr]
            yield System(port, executor.process.pid, completed)  # type: ignore[union-attr]


def _wait_for_roles(config: Path) -> None:
    command = [sys.executable, "-m", "node", "status", "--json", "-c", str(config)]
    while True:
        told = subprocess.run(command, capture_output=True, check=False).stdout
        if told and all(alive is True for alive in json.loads(told)["roles"].values()):
            return
        time.sleep(0.2)


def _wait_until_idle(pid: int) -> None:
    """Wait until starting is over: what a service spends on it once in months is not measured."""
    used = -1.0
    while (now := cpu_seconds(pid)) > used + _IDLE_SHARE:
        used = now
        time.sleep(1)


@contextmanager
def orthanc(folder: Path, sink: int) -> Iterator[System]:
    """Orthanc with its defaults and a Lua script: stable, anonymized (2021b), forwarded."""
    port = port_for.select_random()
    (folder / "forward.lua").write_text(_LUA)
    settings = {
        "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
        "DicomPort": port, "HttpPort": port_for.select_random(), "DicomAlwaysAllowStore": True,
        "StableAge": QUIET_SECONDS, "Plugins": [], "LuaScripts": [str(folder / "forward.lua")],
        "DicomModalities": {"sink": ["SINK", LOCAL, sink]},
    }  # fmt: skip
    config = folder / "orthanc.json"
    config.write_text(json.dumps(settings))
    log = folder / "log"

    def completed() -> list[float]:
        # W1123 14:27:03.123456 LuaContext.cpp:103] Lua says: STABLE
        found = re.findall(r"^W(\d{4} \d\d:\d\d:\d\d\.\d+).*STABLE", log.read_text(), re.MULTILINE)
        year = datetime.now().astimezone().year
        return [
            datetime.strptime(f"{year}{each}", "%Y%m%d %H:%M:%S.%f").astimezone().timestamp()
            for each in found
        ]

    with log.open("wb") as out:
        executor = TCPExecutor(
            [str(ORTHANC), str(config)], LOCAL, port, shell=False, timeout=_PATIENCE,
            envvars=TUNED, stdout=out, stderr=out,
        )  # fmt: skip
        with executor:
            yield System(port, executor.process.pid, completed)  # type: ignore[union-attr]


SYSTEMS = {"deid-node": ours, "Orthanc": orthanc}
