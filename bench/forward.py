"""How fast forward sends, against DCMTK's dcmsend and stock pynetdicom, in the same run.

    python -m bench.forward [--rounds N] [--large]

Every contender sends the same released files over one association to DCMTK's `storescp --ignore`
(TCP_NODELAY=1). A rate is taken from the difference between sending all files and sending one, so
that starting programs and opening associations is nobody's burden. Ours has the ledger, the
manifest and the digest of each file on. Contenders alternate round by round; medians are shown.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import port_for
import structlog
from mirakuru import TCPExecutor
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.presentation import build_context

from bench import forward_large
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


def ours(root: Path, port: int, instances: int, rows: int) -> tuple[World, Manifest, float]:
    """Forward a release; seconds from the start of its sender to the last answer in the ledger."""
    world = make_world(root, [dicom_destination(port)], timeout_seconds=60)
    made = world.release(instances=instances, rows=rows)
    forwarder_module.TICK_SECONDS = 0.5
    os.sync()  # what was just written is not written back while we measure
    with world.forwarding() as forwarder:
        line = forwarder.lines.lines["research"]
        done: list[float] = []
        forwarder.lines.delivered = lambda some, _now: done.extend(
            [time.perf_counter()] * len(some)
        )
        began = 0.0
        while not done:
            forwarder.tick(time.time(), time.monotonic())
            if not began and line.sending:
                began = time.perf_counter()
    assert world.delivery().state is DeliveryState.DELIVERED  # noqa: S101 -- a bench that lies is none
    return world, made, done[0] - began


def dcmsend(paths: list[Path], port: int) -> float:
    """Send by DCMTK."""
    began = time.perf_counter()
    command = ["dcmsend", "-aec", "PACS", "--max-send-pdu", "131072", LOCAL, str(port)]
    subprocess.run([*command, *map(str, paths)], check=True, env=TUNED)
    return time.perf_counter() - began


def stock(paths: list[Path], port: int) -> float:
    """Send by stock pynetdicom, `send_c_store(path)`, as its documentation shows."""
    entity = AE()
    entity.requested_contexts = [build_context("1.2.840.10008.5.1.4.1.1.2", ExplicitVRLittleEndian)]
    while True:
        began = time.perf_counter()
        association = entity.associate(LOCAL, port, ae_title="PACS")
        answers = []
        for number, path in enumerate(paths, start=1):
            if association.is_established:
                answers.append(association.send_c_store(path, msg_id=number % 65536))
        association.release()
        if len(answers) == len(paths) and all(answer.get("Status") == 0 for answer in answers):
            return time.perf_counter() - began
        print("  (pynetdicom lost an answer and waited for it in vain: that run is not counted)")


def _stock_rate(paths: list[Path], port: int) -> float:
    """Give its rate over fewer files, for it is slow."""
    return (len(paths) - 1) / (stock(paths, port) - stock(paths[:1], port))


def compare(name: str, files: int, rows: int, rounds: int, targets: tuple[Any, Any]) -> None:
    """Run all contenders on one set of files and print their rates."""
    rates: dict[str, list[float]] = {"ours": [], "dcmsend": [], "pynetdicom": []}
    with tempfile.TemporaryDirectory() as temporary, sink() as port:
        for number in range(rounds + 1):  # the first warms up
            root = Path(temporary) / str(number)
            world, made, seconds = ours(root, port, files, rows)
            _, _, one = ours(root / "one", port, 1, rows)
            folder = world.outbox.releases / made.release
            paths = [folder / entry.file for entry in made.instances]
            found = {
                "ours": (files - 1) / (seconds - one),
                "dcmsend": (files - 1) / (dcmsend(paths, port) - dcmsend(paths[:1], port)),
                "pynetdicom": _stock_rate(paths[: max(files // 5, 2)], port),
            }
            for contender, rate in found.items() if number else ():
                rates[contender].append(rate)
    print(f"{name}, {files} files, one association, files/s (median of {rounds} [min-max]):")
    middle = {contender: median(each) for contender, each in rates.items()}
    for contender, each in rates.items():
        print(f"  {contender:<11}{middle[contender]:8.0f}  [{min(each):.0f}-{max(each):.0f}]")
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
