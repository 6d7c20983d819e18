"""What the node costs when nothing comes: `deid-node run` with all four roles.

python -m bench.idle [--seconds S]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from bench.nodes import SYSTEMS
from bench.usage import cpu_seconds, megabytes
from bench.whole import sink


def main() -> None:
    """Look at each system at rest."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=30)
    wishes = parser.parse_args()
    print(f"At rest for {wishes.seconds:g} s: % of a core, MB")
    for name, system in SYSTEMS.items():
        with tempfile.TemporaryDirectory(prefix="bench-idle-") as temporary:
            folder = Path(temporary)
            (folder / "system").mkdir()
            with sink(folder / "sink") as port, system(folder / "system", port) as running:
                before = cpu_seconds(running.pid)
                time.sleep(wishes.seconds)
                share = (cpu_seconds(running.pid) - before) / wishes.seconds
                print(f"  {name:12}{100 * share:8.2f} %{megabytes(running.pid):8.0f} MB")


if __name__ == "__main__":
    main()
