"""End to end: from the first byte sent to the last file at the sink, ours beside Orthanc.

    python -m bench.whole [--rounds N] [--sets ct sr ...]

DCMTK's dcmsend sends with TCP_NODELAY=1; the sink is DCMTK's storescp, which writes what it gets.
Both wait one second of quiet before they take a study as whole. "Net" is the time from the first
byte to the last file less that wait, as each system's own log tells it: from the end of sending to
the moment at which the (last) study was taken as whole. Contenders alternate round by round.
Memory is looked at in a round of its own, for looking costs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import port_for
from mirakuru import TCPExecutor

from bench.deid_data import write_set, write_studies
from bench.nodes import SYSTEMS
from bench.receivers import LOCAL, TUNED
from bench.settling import settle
from bench.usage import cpu_seconds, peak_memory

PATIENCE = 600.0


@dataclass(frozen=True)
class Run:
    """One run of one system on one set, in seconds and MB."""

    total: float
    wait: float
    cpu: float
    peak: float

    @property
    def net(self) -> float:
        """Give the time less the wait for quiet."""
        return self.total - self.wait


@contextmanager
def sink(folder: Path) -> Iterator[int]:
    """Run a storescp that writes what it gets into a folder."""
    folder.mkdir()
    port = port_for.select_random()
    command = ["storescp", "-aet", "SINK", "--fork", "+B", "-pdu", "131072", "-od", str(folder)]
    with TCPExecutor([*command, str(port)], LOCAL, port, shell=False, timeout=20, envvars=TUNED):
        yield port


def send(port: int, paths: list[Path]) -> float:
    """Send all over one association; the clock when the last was answered."""
    command = ["dcmsend", "--max-send-pdu", "131072", "--no-uid-checks", LOCAL, str(port)]
    done = subprocess.run(
        [*command, *map(str, paths)], check=False, env=TUNED, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"dcmsend failed: {done.stderr[-500:]}")
    return time.time()


def run(name: str, paths: list[Path], folder: Path, look_at_memory: bool = False) -> Run:
    """Start a system on an empty folder, send a set through it and wait for the last file."""
    out = folder / "sink"
    (folder / "system").mkdir(parents=True)
    with sink(out) as sink_port, SYSTEMS[name](folder / "system", sink_port) as system:
        os.sync()  # what was just written is not written back while we measure
        before = cpu_seconds(system.pid)
        with peak_memory(system.pid) if look_at_memory else nullcontext() as peak:
            began = time.time()
            sent = send(system.port, paths)
            ended = _arrived(out, len(paths))
        cpu = cpu_seconds(system.pid) - before
        wait = max(0.0, max(system.completed()) - sent)
    settle(folder)
    return Run(ended - began, wait, cpu, peak.megabytes if peak else 0.0)


def _arrived(out: Path, count: int) -> float:
    """Wait for the last file; the clock when it was written last."""
    deadline = time.monotonic() + PATIENCE
    while len(names := list(out.iterdir())) < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"{len(names)} of {count} files reached the sink in {PATIENCE:g} s")
        time.sleep(0.02)
    last = 0.0
    while (now := max(path.stat().st_mtime for path in names)) > last:  # the last is being written
        last = now
        time.sleep(0.2)
    return last


def compare(title: str, paths: list[Path], rounds: int) -> dict[str, list[Run]]:
    """Let the systems take turns on one set; print and give their runs."""
    runs: dict[str, list[Run]] = {name: [] for name in SYSTEMS}
    memory: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bench-whole-") as root:
        for number in range(rounds):
            for name, each in runs.items():
                each.append(run(name, paths, Path(root, f"{number}-{name}")))
        for name in runs:
            memory[name] = run(name, paths, Path(root, name), look_at_memory=True).peak
    size = sum(path.stat().st_size for path in paths) / 1e6
    print(f"\n{title}: {len(paths)} files, {size:.0f} MB; median of {rounds} [min-max]")
    print(f"{'':12}{'net s':>20}{'files/s':>9}{'total s':>9}{'wait s':>8}{'CPU s':>8}"
          f"{'CPU ms/file':>13}{'peak MB':>9}")  # fmt: skip
    for name, each in runs.items():
        nets = sorted(one.net for one in each)
        net, cpu = median(nets), median(one.cpu for one in each)
        print(
            f"{name:12}{net:8.2f} [{nets[0]:.2f}-{nets[-1]:.2f}]".ljust(32)
            + f"{len(paths) / net:9.1f}{median(one.total for one in each):9.2f}"
            f"{median(one.wait for one in each):8.2f}{cpu:8.2f}"
            f"{1000 * cpu / len(paths):13.2f}{memory[name]:9.0f}",
            flush=True,
        )
    return runs


def _told(what: str, reached: float, wanted: float) -> None:
    verdict = "reached" if reached >= wanted else "MISSED "
    print(f"  {verdict}  {what}: {reached:.2f} (at least {wanted:g})")


def main() -> None:
    """Run all sets, or those that are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sets", nargs="+", default=["ct", "mr", "sr", "many", "large"])
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "bench-sets")
    wishes = parser.parse_args()
    sets = {
        "ct": ("One study of 500 CT", lambda: write_set("ct", wishes.data / "ct", 500)),
        "mr": ("One study of 300 MR", lambda: write_set("mr", wishes.data / "mr", 300)),
        "sr": ("One study of 300 SR and PR", lambda: write_set("sr", wishes.data / "sr", 300)),
        "many": ("200 studies of 5 CT", lambda: write_studies(wishes.data / "many", 200, 5)),
        "large": ("One multi-frame", lambda: write_set("us", wishes.data / "us", 1)),
    }
    for name in wishes.sets:
        title, paths = sets[name]
        runs = compare(title, paths(), wishes.rounds)
        ours, theirs = ([one.net for one in runs[each]] for each in ("deid-node", "Orthanc"))
        mine, other = ([one.cpu for one in runs[each]] for each in ("deid-node", "Orthanc"))
        print(f"  of Orthanc's rate: {median(theirs) / median(ours):.2f}"
              + ("  (to reach: 2.5)" if name == "ct" else ""))  # fmt: skip
        print(f"  of Orthanc's CPU: {median(mine) / median(other):.2f}"
              + ("  (to reach: 0.5)" if name == "ct" else ""), flush=True)  # fmt: skip
    if not wishes.data.is_relative_to(tempfile.gettempdir()):
        return
    shutil.rmtree(wishes.data / "many", ignore_errors=True)


if __name__ == "__main__":
    main()
