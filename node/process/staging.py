"""Releases in the making: `outbox/staging/<study id>-g<n>/`, closed to all but `process`."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from node.outbox.layout import Outbox
from node.pixels.variants import variant_path


def release_name(study: str, number: int) -> str:
    """Name a generation of a study, in staging and in the releases."""
    return f"{study}-g{number}"


def staging_folder(outbox: Outbox, study: str, number: int) -> Path:
    """Give where a generation's files are made."""
    return outbox.staging / release_name(study, number)


def staged_file(folder: Path, instance: str) -> Path:
    """Give where an instance's file is made; at release it is named by its new UID."""
    return folder / f"{instance}.dcm"


def staged_files(folder: Path, name: str, syntaxes: Iterable[str]) -> tuple[Path, ...]:
    """Give an instance's file and those of its variants, by its id or by its new UID."""
    own = staged_file(folder, name)
    return (own, *(variant_path(own, syntax) for syntax in syntaxes))


def clean_staging(outbox: Outbox, keep: Collection[str]) -> int:
    """Remove what dead runs left, except the named releases; return how many folders went."""
    stale = [folder for folder in outbox.staging.iterdir() if folder.name not in keep]
    for folder in stale:
        shutil.rmtree(folder)
    return len(stale)
