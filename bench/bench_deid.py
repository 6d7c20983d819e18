"""De-identification on one core: the engine beside its peers, round by round, medians side by side.

    make bench-deid ARGS="--peers /path/to/venv/bin/python"

"proven" is what a worker does with an instance: de-identify, then validate the finished file from
disk against its original, SHA-256 included. No peer proves anything. Peers are used where they
are: dicognito and dcmanon in the Python that `--peers` names (`pip install dicognito dcmanon` into
an environment of their own), gdcmanon on the PATH (Debian: libgdcm-tools). All contenders are
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
import sys
import tempfile
import time
from pathlib import Path

from bench.deid_data import SIZES, write_set

#: Programs that de-identify every file of argv[1] into argv[2] and print wall and CPU seconds.
_LOOP = """
import os, sys, time
from pathlib import Path
source, target = Path(sys.argv[1]), Path(sys.argv[2])
{setup}
files = sorted(source.iterdir())
{first}
clock, cpu = time.perf_counter(), time.process_time()
for file in files:
    {each}
print(time.perf_counter() - clock, time.process_time() - cpu)
"""
_RECIPE = (
    "from node.deid import deidentify\n"
    "from node.validate import validate\n"
    "from node.profile.load import load_profile\n"
    "from node.profile.recipe import Recipe\n"
    "recipe = Recipe(load_profile({profile!r}), bytes(32))"
)
_ENGINE = _LOOP.format(
    setup=_RECIPE,
    first="for file in files[:2]: deidentify(file, target / ('first' + file.name), recipe)",
    each="deidentify(file, target / file.name, recipe)",
)
_PROVEN = _LOOP.format(
    setup=_RECIPE,
    first=(
        "deidentify(files[0], target / 'first', recipe)\n"
        "validate(files[0], target / 'first', recipe)"
    ),
    each=(
        "deidentify(file, target / file.name, recipe); "
        "assert len(validate(file, target / file.name, recipe).sha256) == 64"
    ),
)
_COPY = _LOOP.format(
    setup="import shutil", first="", each="shutil.copyfile(file, target / file.name)"
)
_DICOGNITO = _LOOP.format(
    setup=(
        "import pydicom\nfrom dicognito.anonymizer import Anonymizer\nanonymizer = Anonymizer()"
    ),
    first="",
    each=(
        "dataset = pydicom.dcmread(file); anonymizer.anonymize(dataset); "
        "dataset.save_as(target / file.name)"
    ),
)
_DCMANON = _LOOP.format(
    setup="from dcmanon import Anonymizer\nanonymizer = Anonymizer()",
    first="",
    each="(target / file.name).write_bytes(anonymizer.anonymize(str(file)))",
)


def main() -> None:
    """Measure and print one table per set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="a Python that has dicognito and dcmanon")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sets", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--count", type=int, help="files per set (to see that the cost is flat)")
    parser.add_argument("--profile", nargs="+", default=["basic", "research"])
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    figures: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-deid-") as folder:
        for name in arguments.sets:
            source = Path(folder) / name
            count = arguments.count or SIZES[name]
            write_set(name, source, count)
            contenders = _contenders(arguments, Path(folder))
            figures[name] = _measure(contenders, source, Path(folder) / "out", arguments.rounds)
            _print(name, count, figures[name])
            shutil.rmtree(source)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


def _contenders(arguments: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    python = sys.executable
    contenders = {"copy (the floor)": [python, "-c", _COPY]}
    for profile in arguments.profile:
        for loop, what in ((_ENGINE, ""), (_PROVEN, ", proven")):
            program = loop.replace("{profile!r}", repr(profile))
            contenders[f"deid-node {profile}{what}"] = [python, "-c", program]
    if gdcmanon := shutil.which("gdcmanon"):
        certificate = folder / "certificate.pem"
        if not certificate.exists():
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=bench",
                 "-keyout", folder / "key.pem", "-out", certificate],
                check=True, capture_output=True,
            )  # fmt: skip
        contenders["gdcmanon"] = [gdcmanon, "-e", "-c", str(certificate)]
    if arguments.peers:
        contenders["dcmanon"] = [arguments.peers, "-c", _DCMANON]
        contenders["dicognito"] = [arguments.peers, "-c", _DICOGNITO]
    return contenders


def _measure(
    contenders: dict[str, list[str]], source: Path, target: Path, rounds: int
) -> dict[str, dict[str, float]]:
    walls: dict[str, list[float]] = {name: [] for name in contenders}
    cpus: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, command in contenders.items():
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            wall, cpu = _run(command, source, target)
            walls[name].append(wall)
            cpus[name].append(cpu)
    count = len(list(source.iterdir()))
    return {
        name: {
            "files_per_second": count / statistics.median(walls[name]),
            "files_per_cpu_second": count / statistics.median(cpus[name]),
            "slowest_seconds": max(walls[name]),
            "fastest_seconds": min(walls[name]),
        }
        for name in contenders
    }


def _run(command: list[str], source: Path, target: Path) -> tuple[float, float]:
    """Run one contender on one core and return its wall and CPU seconds."""
    if command[1] == "-c":
        arguments = [*command, str(source), str(target)]
    else:
        arguments = [*command, "-i", str(source), "-o", str(target)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    clock = time.perf_counter()
    done = subprocess.run(
        arguments, check=True, capture_output=True, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {0}),
    )  # fmt: skip
    wall = time.perf_counter() - clock
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if command[1] == "-c":
        told_wall, told_cpu = done.stdout.split()
        return float(told_wall), float(told_cpu)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _print(name: str, count: int, figures: dict[str, dict[str, float]]) -> None:
    print(f"\n{name}: {count} files, one core")
    print(f"{'':27}{'files/s':>10}{'[slowest - fastest s]':>26}{'files/CPU s':>14}")
    for contender, row in figures.items():
        spread = f"[{row['slowest_seconds']:.3f} - {row['fastest_seconds']:.3f}]"
        print(
            f"{contender:27}{row['files_per_second']:>10.1f}{spread:>26}"
            f"{row['files_per_cpu_second']:>14.1f}"
        )


if __name__ == "__main__":
    main()
