"""Which files of a release a destination gets: one per instance, in a syntax that it wants."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from node.outbox import instances
from node.outbox.manifest import Manifest, ReleasedInstance
from node.outbox.states import InstanceState


def choose(manifest: Manifest, wanted: Sequence[str]) -> tuple[ReleasedInstance, ...]:
    """Choose one file per instance: in a syntax that the destination wants, else the first made.

    `wanted` is the destination's `syntaxes`, in its order of preference.
    """
    variants: dict[str, list[ReleasedInstance]] = {}
    for entry in manifest.instances:
        variants.setdefault(entry.sop_instance_uid, []).append(entry)
    return tuple(_choose_one(entries, wanted) for entries in variants.values())


def choose_again(
    connection: sa.Connection, number: int, manifest: Manifest, wanted: Sequence[str]
) -> tuple[ReleasedInstance, ...]:
    """Let a delivery send what its destination wants by now; give the files that it may choose.

    What the destination has or may have stays as it is: it never gets a second version.
    """
    uids = {entry.file: entry.sop_instance_uid for entry in manifest.instances}
    chosen = {entry.sop_instance_uid: entry for entry in choose(manifest, wanted)}
    open_to_choice = []
    for row in instances.instances_of(connection, number):
        if row.intents and row.state is not InstanceState.REFUSED:
            continue
        entry = chosen[uids[row.file]]
        if entry.file != row.file:
            instances.replace(connection, number, row.file, entry)
        open_to_choice.append(entry)
    return tuple(open_to_choice)


def missing_file(folder: Path, entries: Sequence[ReleasedInstance]) -> str:
    """Say what is wrong with the first file that is not there as the manifest says, else ""."""
    for number, entry in enumerate(entries):
        try:
            found = (folder / entry.file).lstat()
        except OSError:
            return f"a released file is missing (number {number + 1} of the manifest)"
        if not stat.S_ISREG(found.st_mode) or found.st_size != entry.bytes:
            return f"a released file is not what the manifest says (number {number + 1})"
    return ""


def not_wanted(entries: Sequence[ReleasedInstance], wanted: Sequence[str]) -> str:
    """Say what the destination's `syntaxes` leave no file for, else ""."""
    others = sorted({entry.transfer_syntax_uid for entry in entries} - set(wanted))
    if not wanted or not others:
        return ""
    return (
        f"the release holds nothing in the destination's syntaxes, only {', '.join(others)}: it "
        "was made before they were asked for; add that syntax and retry, or requeue the study with "
        "--all-generations"
    )


def _choose_one(entries: Sequence[ReleasedInstance], wanted: Sequence[str]) -> ReleasedInstance:
    for syntax in wanted:
        for entry in entries:
            if entry.transfer_syntax_uid == syntax:
                return entry
    return min(entries, key=lambda entry: bool(entry.variant))
