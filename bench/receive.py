"""How fast receive takes instances, against Orthanc, DCMTK and stock pynetdicom, in the same run.

    python -m bench.receive [--rounds N] [--seconds S]      (make bench-receive)

DCMTK's dcmsend sends 500 CT files of 528 KB, from memory where there is /dev/shm, so that no
receiver waits for the sender's disk; its environment has TCP_NODELAY=1 unless the table says
"untuned". Contenders alternate round by round, each started fresh on an empty folder of the same
filesystem, with nothing of the one before left to be written; a table's folders go at its end,
because a filesystem is slow where much was just deleted. Medians are shown, with the range. Ours
has every sync on and `process` running.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median

from bench import receivers
from bench.deid_data import write_set
from bench.receive_many import idle_share, latencies, peak_of_two_gigabytes
from bench.receivers import LOCAL, TUNED, Receiver
from bench.settling import settle

FILES = 500
MEMORY = Path("/dev/shm")  # noqa: S108 -- made-up files for the sender, read only
UNTUNED_FILES = 100
Run = Callable[[Path, bool], AbstractContextManager[Receiver]]


def sent(port: int, parts: list[list[Path]], tuned: bool = True) -> float:
    """Send each part by a dcmsend of its own, all at once; seconds until the last is done."""
    environment = TUNED if tuned else {k: v for k, v in os.environ.items() if k != "TCP_NODELAY"}
    command = ["dcmsend", "--max-send-pdu", "131072", LOCAL, str(port)]
    began = time.perf_counter()
    senders = [subprocess.Popen([*command, *map(str, part)], env=environment) for part in parts]
    codes = [sender.wait() for sender in senders]
    seconds = time.perf_counter() - began
    if any(codes):
        raise SystemExit("dcmsend failed: this bench would tell a lie")
    return seconds


def compare(
    title: str, contenders: dict[str, Run], parts: list[list[Path]], rounds: int, tuned: bool = True
) -> dict[str, float]:
    """Let the contenders take turns; print and give the median files per second of each."""
    files = sum(map(len, parts))
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    used: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory() as root:
        for number in range(rounds):
            for name, run in contenders.items():
                folder = Path(root, f"{number}-{name}")
                folder.mkdir()
                with run(folder, tuned) as receiver:
                    before = receiver.cpu_seconds()
                    rates[name].append(files / sent(receiver.port, parts, tuned))
                    cpu = (receiver.cpu_seconds() - before) / files
                    used[name].append((1000 * cpu, receiver.peak_megabytes()))
                settle(folder)
    print(f"\n{title}, {files} files; files/s: median [range], the receiver's CPU and peak memory")
    for name, values in rates.items():
        cpus, peaks = zip(*used[name], strict=True)
        print(
            f"  {name:24} {median(values):8.0f}  "
            + f"[{min(values):.0f}-{max(values):.0f}]".ljust(14)
            + f"{median(cpus):8.2f} ms/file{max(peaks):8.0f} MB"
        )
    return {name: median(values) for name, values in rates.items()}


def told(what: str, reached: float, wanted: float, at_most: bool = False) -> bool:
    """Say whether a target is reached."""
    good = reached <= wanted if at_most else reached >= wanted
    sign = "at most" if at_most else "at least"
    print(f"  {'reached' if good else 'MISSED '}  {what}: {reached:.2f} ({sign} {wanted:g})")
    return good


def sender_folder() -> Path:
    """Say where the sender's files lie: in memory, where that can be."""
    return (MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())) / "bench-ct"


def main() -> None:
    """Run all tables and say which targets are reached."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=60, help="of 64 busy associations")
    arguments.add_argument("--data", type=Path, default=sender_folder())
    options = arguments.parse_args()
    paths = write_set("ct", options.data, FILES)
    quarters = [paths[number::4] for number in range(4)]

    one = compare(
        "One association",
        {"ours": receivers.ours, "Orthanc": receivers.orthanc, "storescp": receivers.storescp,
         "pynetdicom storescp": receivers.pynetdicom},
        [paths], options.rounds,
    )  # fmt: skip
    told("of Orthanc", one["ours"] / one["Orthanc"], 2.5)
    told("of pynetdicom storescp", one["ours"] / one["pynetdicom storescp"], 3)
    four = compare(
        "Four associations",
        {"ours": receivers.ours, "Orthanc": receivers.orthanc,
         "storescp --fork": receivers.storescp_fork},
        quarters, options.rounds,
    )  # fmt: skip
    told("of Orthanc", four["ours"] / four["Orthanc"], 2.3)
    told("of storescp --fork", four["ours"] / four["storescp --fork"], 0.5)
    untuned = compare(
        "One untuned association",
        {"ours": receivers.ours, "Orthanc": receivers.orthanc, "storescp": receivers.storescp},
        [paths[:UNTUNED_FILES]], max(1, options.rounds // 2), tuned=False,
    )  # fmt: skip
    told("of Orthanc", untuned["ours"] / untuned["Orthanc"], 20)
    with tempfile.TemporaryDirectory() as folder, receivers.ours(Path(folder)) as receiver:
        print(f"\n64 associations, {options.seconds:g} s of CT")
        share = idle_share(receiver)
        answers = latencies(receiver.port, paths[:32], options.seconds)
        print(f"  {len(answers) / options.seconds:.0f} files/s, median {median(answers):.3f} s")
        told("p99 answer, seconds", answers[int(len(answers) * 0.99)], 1, at_most=True)
        told("of a core, 64 idle associations, %", 100 * share, 2, at_most=True)
        peak_of_two_gigabytes(receiver.port)
        peak = receiver.peak_megabytes()
        told("peak memory of receive, MB, a 2 GB instance included", peak, 150, at_most=True)


if __name__ == "__main__":
    main()
