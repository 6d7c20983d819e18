"""Every stage and the whole, ours and theirs interleaved, in one run: bench/RESULTS.md.

    python -m bench [--rounds N] [--stages receive deidentify ...]      (make bench)

Each stage is a script of this folder that can be run by itself; this one installs the peers, runs
them one after the other and writes down what they print, with the machine, the versions and the
commands. It takes about half an hour; nothing else should run beside it.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench import peers

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"


def stages(rounds: str, python: Path) -> dict[str, tuple[str, list[str]]]:
    """Name each stage: its heading and its module with arguments."""
    return {
        "receive": ("Receive", ["bench.receive", "--rounds", rounds]),
        "deidentify": (
            "De-identify, and prove it",
            ["bench.bench_deid", "--rounds", rounds, "--peers", str(python)],
        ),
        "forward": ("Send", ["bench.forward", "--rounds", rounds, "--large"]),
        "whole": ("End to end", ["bench.whole", "--rounds", rounds]),
        "idle": ("At rest", ["bench.idle"]),
        "growth": ("Growth, end to end", ["bench.growing"]),
        "index": ("Growth of the index", ["bench.growth"]),
    }


def machine() -> list[str]:
    """Tell what it was measured on."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = next(
        line.split(":", 1)[1].strip() for line in cpuinfo.splitlines() if "model name" in line
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return [
        f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB",
        f"Linux {platform.release()}, Python {platform.python_version()}",
    ]


def run(module: list[str]) -> Iterator[str]:
    """Run a stage; give its lines as they come."""
    with subprocess.Popen(
        [sys.executable, "-m", *module], stdout=subprocess.PIPE, text=True, cwd=HERE.parent
    ) as stage:
        for line in stage.stdout or ():
            print(line, end="", flush=True)
            yield line
    if stage.returncode:
        raise SystemExit(f"{module[0]} failed: bench/RESULTS.md tells only what was before it")


def told_before() -> dict[str, str]:
    """Give the parts that are there already, by heading: some stages are measured again."""
    text = RESULTS.read_text() if RESULTS.exists() else ""
    parts = (part.split("\n\n", 1) for part in text.split("\n## ")[1:])
    return {heading: told.rstrip() + "\n" for heading, told in parts}


def write(facts: list[str], parts: dict[str, str]) -> None:
    """Write what the stages so far have told."""
    listed = "\n".join(f"- {fact}" for fact in facts)
    told = "\n".join(f"## {heading}\n\n{part}" for heading, part in parts.items())
    RESULTS.write_text(
        "# Results\n\nWritten by `make bench`. Ours and theirs take turns in every table; what "
        "else the machine did in that time is in the ranges.\n\n" + f"{listed}\n\n{told}"
    )


def main() -> None:
    """Run the stages and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", default="5")
    parser.add_argument("--stages", nargs="+")
    parser.add_argument("--peers", type=Path, default=HERE.parent / ".venv-peers")
    wishes = parser.parse_args()
    python = peers.install(wishes.peers)
    known = stages(wishes.rounds, python)
    facts = [*machine(), *peers.versions(python)]
    parts = {} if wishes.stages is None else told_before()
    for name in wishes.stages or known:
        heading, module = known[name]
        began = time.time()
        print(f"\n=== {heading}", flush=True)
        told = "".join(run(module)).strip()
        shown = " ".join(module).replace(str(python), ".venv-peers/bin/python")
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(began))
        parts[heading] = f"`python -m {shown}`, {when} UTC\n\n```text\n{told}\n```\n"
        write(facts, parts)  # after each stage: a run that is cut off has told something
    print(f"\nwritten: {RESULTS.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
