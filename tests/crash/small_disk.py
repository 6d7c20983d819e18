"""A disk of a few megabytes that is full when a test wants it to be."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path, megabytes: int, files: int = 0) -> Iterator[None]:
    """Mount a tmpfs on a folder while the block runs; `files` bounds its inodes, 0 does not.

    Only root may mount: tests that do have the marker `mount`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={megabytes}m" + (f",nr_inodes={files}" if files else "")
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "small", folder], check=True)
    try:
        yield
    finally:
        # Whoever still has a file open there is about to end.
        subprocess.run(["umount", "--lazy", folder], check=True)


def grow(folder: Path, megabytes: int) -> None:
    """Give a mounted disk more room, as an administrator does."""
    options = f"remount,size={megabytes}m"
    subprocess.run(["mount", "-o", options, folder], check=True)


def fill(folder: Path) -> list[Path]:
    """Take all that is left, to the last byte and the last name; give the files that do it."""
    filler = [folder / "filler"]
    try:
        with filler[0].open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass
    try:
        while True:
            path = folder / f"filler{len(filler)}"
            path.touch()
            filler.append(path)
            if len(filler) > _MOST_NAMES:
                return filler
    except OSError:
        return filler


_MOST_NAMES = 2000
