"""De-identification on one core: the engine beside its peers, round by round, medians side by side.

    make bench-deid ARGS="--peers /path/to/venv/bin/python"

"proven" is what a worker does with an instance: de-identify, then validate the finished file from
disk against its original, SHA-256 included. No peer proves anything. Peers are used where they
are: dicognito, dcmanon, dicom-anonymizer and deid in the Python that `--peers` names, gdcmanon on
the PATH (Debian: libgdcm-tools); `make bench` installs them. All contenders are
pinned to one core and take turns, so that what else the machine does hits each alike; none syncs.
Two figures each: files per second as the clock says, and files per second of CPU time (user and
system), which another process on the core changes less. gdcmanon's include its start. What each
leaves in the files is not the same.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench.deid_contenders import contenders
from bench.deid_data import SIZES, write_set

#: The files lie in memory: what a disk does meanwhile would hit the fast more than the slow.
MEMORY = Path("/dev/shm")  # noqa: S108 -- made-up files
#: Set, ours ("" or ", proven", of each profile), the other, and how many times its rate we want.
TARGETS = (
    ("ct", "", "dicognito", 10), ("ct", "", "dcmanon", 2), ("ct", "", "gdcmanon", 1.1),
    ("ct", ", proven", "dicognito", 3), ("mr", "", "dcmanon", 1), ("sr", "", "dicognito", 25),
    ("us", "", "copy (the floor)", 0.7),
)  # fmt: skip


def main() -> None:
    """Measure and print one table per set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="a Python that has dicognito, dcmanon and others")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sets", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--count", type=int, help="files per set (to see that the cost is flat)")
    parser.add_argument("--profile", nargs="+", default=["basic", "research"])
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {0})  # and whatever is started from here
    figures: dict[str, dict[str, dict[str, float]]] = {}
    memory = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="bench-deid-", dir=memory) as folder:
        for name in arguments.sets:
            source = Path(folder) / name
            count = arguments.count or SIZES[name]
            write_set(name, source, count)
            found = contenders(arguments.profile, arguments.peers, Path(folder))
            figures[name] = _measure(found, source, Path(folder) / "out", arguments.rounds)
            _print(name, count, figures[name])
            shutil.rmtree(source)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


def _measure(
    found: dict[str, list[str]], source: Path, target: Path, rounds: int
) -> dict[str, dict[str, float]]:
    runs: dict[str, list[tuple[float, ...]]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, command in found.items():
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            runs[name].append(_run(command, source, target))
    figures = {}
    for name, each in runs.items():
        counts, walls, cpus, peaks = zip(*each, strict=True)
        figures[name] = {
            "files_per_second": counts[0] / statistics.median(walls),
            "files_per_cpu_second": counts[0] / statistics.median(cpus),
            "slowest_seconds": max(walls),
            "fastest_seconds": min(walls),
            "peak_megabytes": max(peaks),
        }
    return figures


def _run(command: list[str], source: Path, target: Path) -> tuple[float, ...]:
    """Run one contender; give how many files, wall and CPU seconds, and the peak in MB, if told."""
    loop = command[1] == "-c"
    folders = [str(source), str(target)] if loop else ["-i", str(source), "-o", str(target)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    clock = time.perf_counter()
    done = subprocess.run([*command, *folders], check=True, capture_output=True, text=True)
    wall = time.perf_counter() - clock
    if loop:
        count, told_wall, told_cpu, kilobytes = map(float, done.stdout.split()[-4:])
        return count, told_wall, told_cpu, kilobytes / 1024
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return len(list(source.iterdir())), wall, cpu, float("nan")


def _print(name: str, count: int, figures: dict[str, dict[str, float]]) -> None:
    print(f"\n{name}: {count} files, one core")
    print(f"{'':27}{'files/s':>10}{'[slowest - fastest s]':>26}{'files/CPU s':>14}"
          f"{'peak MB':>9}")  # fmt: skip
    for contender, row in figures.items():
        spread = f"[{row['slowest_seconds']:.3f} - {row['fastest_seconds']:.3f}]"
        print(
            f"{contender:27}{row['files_per_second']:>10.1f}{spread:>26}"
            f"{row['files_per_cpu_second']:>14.1f}{row['peak_megabytes']:>9.0f}"
        )
    for place, what, other, wanted in TARGETS:
        for ours in figures if place == name and other in figures else ():
            if ours.startswith("deid-node") and ours.endswith(", proven") == bool(what):
                reached = figures[ours]["files_per_second"] / figures[other]["files_per_second"]
                verdict = "reached" if reached >= wanted else "MISSED "
                print(f"  {verdict}  {ours} of {other}: {reached:.2f} (at least {wanted})")


if __name__ == "__main__":
    main()
