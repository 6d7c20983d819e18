"""The chain of manifests: each names the one before, so a removed or altered release shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.outbox import manifest as manifests
from node.outbox.manifest import FILE_NAME, Manifest, ManifestInvalid

#: A quote inside a text of the manifest is spelt with a backslash before it.
_SEQUENCE = re.compile(rb'(?<!\\)"sequence":([1-9][0-9]{0,18})[,}]')


@dataclass(frozen=True, slots=True)
class Head:
    """The newest manifest: its sequence number and digest; (0, "") before the first release."""

    sequence: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """One manifest of the chain, or why it cannot be one."""

    release: str
    manifest: Manifest | None
    digest: str
    problem: str = ""


def links(releases: Path, key: Ed25519PublicKey) -> Iterator[Link]:
    """Read every manifest in the releases folder, purged releases' included, in name order."""
    for folder in sorted(releases.iterdir()):
        if folder.name.startswith("."):
            continue
        try:
            manifest = manifests.read_manifest(folder, key)
        except ManifestInvalid as error:
            yield Link(folder.name, None, "", str(error))
            continue
        yield Link(folder.name, manifest, manifests.digest((folder / FILE_NAME).read_bytes()))


def find_head(releases: Path, key: Ed25519PublicKey) -> Head:
    """Find the highest sequence number and its manifest's digest.

    Every manifest is looked into, but only the highest one is checked: that is quick where years
    of manifests lie, and a number that is forged upwards fails the check.

    Raises
    ------
    ManifestInvalid
        If a manifest tells no number or the highest cannot be trusted: the next one could then
        take a number twice.
    """
    highest, newest = 0, None
    for folder in releases.iterdir():
        if folder.name.startswith("."):
            continue
        sequence = _told_sequence(folder)
        if sequence > highest:
            highest, newest = sequence, folder
    if newest is None:
        return Head()
    manifests.read_manifest(newest, key)
    return Head(highest, manifests.digest((newest / FILE_NAME).read_bytes()))


def check_chain(releases: Path, key: Ed25519PublicKey) -> tuple[str, ...]:
    """Tell every break of the chain, one line each; none if all releases are there, unaltered."""
    problems: list[str] = []
    found: list[Link] = []
    for link in links(releases, key):
        if link.manifest is None:
            problems.append(f"{link.release}: {link.problem}")
        else:
            found.append(link)
    expected = Head()
    for link in sorted(found, key=_sequence):
        if link.manifest is None:
            continue
        sequence = link.manifest.sequence
        if sequence == expected.sequence:
            problems.append(f"{link.release}: sequence number {sequence} is taken twice")
        elif sequence != expected.sequence + 1:
            problems.append(
                f"{link.release}: the release before it is missing "
                f"(sequence {expected.sequence + 1} to {sequence - 1})"
            )
        elif link.manifest.previous != expected.digest:
            problems.append(f"{link.release}: does not name the release before it")
        expected = Head(sequence, link.digest)
    return tuple(problems)


def _told_sequence(folder: Path) -> int:
    """Read a manifest's number from its one spelling, without checking the rest."""
    try:
        found = _SEQUENCE.search((folder / FILE_NAME).read_bytes())
    except OSError as error:
        raise ManifestInvalid(f"{folder.name}: no manifest ({error.strerror})") from None
    if found is None:
        raise ManifestInvalid(f"{folder.name}: its manifest tells no sequence number")
    return int(found[1])


def _sequence(link: Link) -> int:
    return link.manifest.sequence if link.manifest else 0
