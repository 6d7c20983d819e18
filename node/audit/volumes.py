"""The volumes of a trail: what is full lies beside what is written.

`people.jsonl` is written; a full volume bears the number of its last entry
(`people-000000123456.jsonl`). The chain goes on from one to the next, as old as the node is.
"""

from __future__ import annotations

from pathlib import Path

from node import disk

#: A volume that has so many bytes is full.
VOLUME_BYTES = 64 << 20
_DIGITS = 12


def trails(folder: Path) -> list[Path]:
    """Give the trails of a folder, each by the name of the volume that is written."""
    return sorted({path.with_name(_stem(path) + path.suffix) for path in folder.glob("*.jsonl")})


def volumes_of(path: Path) -> list[Path]:
    """Give the volumes of a trail that are there, oldest first."""
    aside = sorted(
        one for one in path.parent.glob("*.jsonl") if one != path and _stem(one) == path.stem
    )
    return [*aside, *([path] if path.exists() else [])]


def put_aside(path: Path, number: int) -> None:
    """Put a full volume beside the one that is written, under the number of its last entry."""
    disk.rename_noreplace(path, path.with_name(f"{path.stem}-{number:0{_DIGITS}d}{path.suffix}"))
    disk.fsync_dir(path.parent)


def _stem(path: Path) -> str:
    stem, _, number = path.stem.rpartition("-")
    return stem if len(number) == _DIGITS and number.isdecimal() else path.stem
