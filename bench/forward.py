"""How fast forward sends, against DCMTK's dcmsend and stock pynetdicom, in the same run.

    python -m bench.forward [--rounds N] [--large]

Every contender sends the same released files over one association to DCMTK's `storescp --ignore`
(TCP_NODELAY=1). A rate is taken from the difference between sending all files and sending one, so
that starting programs and opening associations is nobody's burden. Ours has the ledger, the
manifest and the digest of each file on. Contenders alternate round by round; medians are shown.
CPU time per file is taken from the same difference; of ours it is the role's and its senders'.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from statistics import median
from typing import Any

import port_for
import structlog
from mirakuru import TCPExecutor

from bench import forward_large, usage
from node.forward import forwarder as forwarder_module
from node.outbox.manifest import Manifest
from node.outbox.states import DeliveryState
from tests.forward.harness import World, dicom_destination, make_world

LOCAL = "127.0.0.1"
TUNED = {**os.environ, "TCP_NODELAY": "1"}
#: name, files, rows and columns of 16 bits, and what is to be reached: of stock, of dcmsend
SETS = (("CT of 528 KB", 500, 512, 6.0, 0.7), ("SR-sized, 16 KB", 500, 87, 20.0, None))


@contextmanager
def sink(*options: str) -> Iterator[int]:
    """Run a storescp that keeps nothing."""
    port = port_for.select_random()
    command = ["storescp", "-aet", "PACS", "--ignore", "-pdu", "131072", *options, str(port)]
    with TCPExecutor(command, LOCAL, port, shell=False, timeout=20, envvars=TUNED):
        yield port


@dataclass(frozen=True, slots=True)
class Sent:
    """What a run took: seconds on the clock and of CPU, and the sender's most memory in MB."""

    seconds: float
    cpu_seconds: float
    megabytes: float


def ours(root: Path, port: int, instances: int, rows: int) -> tuple[World, Manifest, Sent]:
    """Forward a release, from the start of its sender to the last answer in the ledger.

    The CPU time is the role's and its senders', the memory that of the senders.
    """
    world = make_world(root, [dicom_destination(port)], timeout_seconds=60)
    made = world.release(instances=instances, rows=rows)
    forwarder_module.TICK_SECONDS = 0.5
    os.sync()  # what was just written is not written back while we measure
    with world.forwarding() as forwarder:
        server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]  # noqa: SLF001 -- no public name
        line = forwarder.lines.lines["research"]
        done: list[float] = []
        forwarder.lines.delivered = lambda some, _now: done.extend(
            [time.perf_counter()] * len(some)
        )
        began, cpu = 0.0, time.thread_time() + usage.cpu_seconds(server)
        with usage.peak_memory(server) as peak:
            while not done:
                forwarder.tick(time.time(), time.monotonic())
                if not began and line.sending:
                    began = time.perf_counter()
            cpu = time.thread_time() + usage.cpu_seconds(server) - cpu
    assert world.delivery().state is DeliveryState.DELIVERED  # noqa: S101 -- a bench that lies is none
    return world, made, Sent(done[0] - began, cpu, peak.megabytes)


def run(command: Sequence[str]) -> Sent | None:
    """Run a sender as a program of its own; None if it failed. What it prints is its seconds."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=TUNED)
    assert process.stdout is not None  # noqa: S101 -- for mypy
    with usage.peak_memory(process.pid) as peak:
        told = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = float(told or time.perf_counter() - began)
    sent = Sent(seconds, used.ru_utime + used.ru_stime, peak.megabytes)
    return None if process.returncode else sent


def dcmsend(paths: list[Path], port: int) -> Sent:
    """Send by DCMTK."""
    command = ["dcmsend", "-aec", "PACS", "--max-send-pdu", "131072", LOCAL, str(port)]
    sent = run([*command, *map(str, paths)])
    assert sent is not None  # noqa: S101 -- a bench that lies is none
    return sent


def stock(paths: list[Path], port: int) -> Sent:
    """Send by stock pynetdicom."""
    while (sent := run([sys.executable, "-m", "bench.stock", str(port), *map(str, paths)])) is None:
        print("  (pynetdicom lost an answer and waited for it in vain: that run is not counted)")
    return sent


@dataclass(frozen=True, slots=True)
class PerFile:
    """The difference between many files and one, for each of the others."""

    rate: float
    cpu_milliseconds: float
    megabytes: float


def _per_file(many: Sent, one: Sent, files: int) -> PerFile:
    others = files - 1
    return PerFile(
        others / (many.seconds - one.seconds),
        1000 * (many.cpu_seconds - one.cpu_seconds) / others,
        many.megabytes,
    )


def compare(name: str, files: int, rows: int, rounds: int, targets: tuple[Any, Any]) -> None:
    """Run all contenders on one set of files and print what they took."""
    taken: dict[str, list[PerFile]] = {"ours": [], "dcmsend": [], "pynetdicom": []}
    with tempfile.TemporaryDirectory() as temporary, sink() as port:
        for number in range(rounds + 1):  # the first warms up
            root = Path(temporary) / str(number)
            world, made, many = ours(root, port, files, rows)
            _, _, one = ours(root / "one", port, 1, rows)
            folder = world.outbox.releases / made.release
            paths = [folder / entry.file for entry in made.instances]
            few = paths[: max(files // 5, 2)]  # for it is slow
            found = {
                "ours": _per_file(many, one, files),
                "dcmsend": _per_file(dcmsend(paths, port), dcmsend(paths[:1], port), files),
                "pynetdicom": _per_file(stock(few, port), stock(few[:1], port), len(few)),
            }
            for contender, each in found.items() if number else ():
                taken[contender].append(each)
    print(f"{name}, {files} files, one association: files/s (median of {rounds} [min-max]),")
    print("  the sender's CPU time and peak memory")
    middle = {contender: median(run.rate for run in runs) for contender, runs in taken.items()}
    for contender, runs in taken.items():
        rates = [run.rate for run in runs]
        print(
            f"  {contender:<11}{middle[contender]:8.0f}  "
            + f"[{min(rates):.0f}-{max(rates):.0f}]".ljust(14)
            + f"{median(run.cpu_milliseconds for run in runs):8.2f} ms/file"
            + f"{max(run.megabytes for run in runs):8.0f} MB"
        )
    for other, target in zip(("pynetdicom", "dcmsend"), targets, strict=True):
        wanted = "" if target is None else f"  (to reach: {target})"
        print(f"  ours / {other}: {middle['ours'] / middle[other]:.2f}{wanted}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="also send an instance of 2 GB")
    wishes = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    for name, files, rows, of_stock, of_dcmsend in SETS:
        compare(name, files, rows, wishes.rounds, (of_stock, of_dcmsend))
    if wishes.large:
        with sink() as port:
            forward_large.report(port)


if __name__ == "__main__":
    main()
