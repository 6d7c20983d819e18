"""Whether the cost of an instance grows with what has come before: 10 to 100,000 instances.

    python -m bench.growing [--sizes 10,100,1000,10000,100000]

One node takes small CT (16 KB) in studies of 100, over one association after the other; per step
it tells the rate from the first byte sent to the last file at the sink and the node's CPU time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

from bench.deid_data import ROOT, make_ct
from bench.nodes import SYSTEMS
from bench.usage import cpu_seconds, megabytes
from bench.whole import send, sink

PER_STUDY = 100
PER_ASSOCIATION = 1000
PATIENCE = 120.0


def template() -> bytes:
    """Give a CT of 16 KB whose UIDs are of fixed length, to be renumbered byte by byte."""
    import numpy as np  # noqa: PLC0415
    from pydicom.filebase import DicomBytesIO  # noqa: PLC0415

    dataset = make_ct(0, np.random.default_rng(3))
    dataset.Rows = dataset.Columns = 64
    dataset.PixelData = dataset.PixelData[: 64 * 64 * 2]
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.9.{10**8}"
    dataset.StudyInstanceUID = f"{ROOT}.8.{10**8}"
    dataset.SeriesInstanceUID = f"{ROOT}.7.{10**8}"
    buffer = DicomBytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def write(folder: Path, form: bytes, first: int, count: int) -> list[Path]:
    """Write instances `first` to `first + count`, each of its own number."""
    paths = []
    for number in range(first, first + count):
        content = form.replace(f"{ROOT}.9.{10**8}".encode(), f"{ROOT}.9.{10**8 + number}".encode())
        for arc in (8, 7):
            study = f"{ROOT}.{arc}.{10**8 + number // PER_STUDY}"
            content = content.replace(f"{ROOT}.{arc}.{10**8}".encode(), study.encode())
        path = folder / f"{number:07d}.dcm"
        path.write_bytes(content)
        paths.append(path)
    return paths


def main() -> None:
    """Send until each size is reached; print what the last step cost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--sizes", default="10,100,1000,10000,100000")
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    form = template()
    print(f"{'instances so far':>18}{'files/s':>10}{'CPU ms/file':>13}{'MB':>8}", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-growing-") as temporary:
        folder = Path(temporary)
        (folder / "system").mkdir()
        out = folder / "sink"
        with sink(out) as port, SYSTEMS["deid-node"](folder / "system", port) as node:
            done = 0
            for size in sizes:
                before, began, first = cpu_seconds(node.pid), time.monotonic(), done
                while done < size:
                    count = min(PER_ASSOCIATION, size - done)
                    (folder / "batch").mkdir()
                    send(node.port, write(folder / "batch", form, done, count))
                    shutil.rmtree(folder / "batch")
                    done += count
                _wait(out, size)
                wall, cpu = time.monotonic() - began, cpu_seconds(node.pid) - before
                print(f"{size:18,}{(size - first) / wall:10.1f}{1000 * cpu / (size - first):13.2f}"
                      f"{megabytes(node.pid):8.0f}", flush=True)  # fmt: skip


def _wait(out: Path, count: int) -> None:
    fewer, deadline = -1, time.monotonic() + PATIENCE
    while (there := sum(1 for _ in os.scandir(out))) < count:
        if there > fewer:
            fewer, deadline = there, time.monotonic() + PATIENCE
        if time.monotonic() > deadline:
            raise SystemExit(f"{there} of {count} reached the sink, and no more came")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
