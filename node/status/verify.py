"""Check what is on disk against what was written about it. Reads only; every line is a fact."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select

from node import audit
from node.config import NodeConfig
from node.inbox.layout import Inbox
from node.inbox.tables import generation
from node.inbox.verify import verify_inbox
from node.outbox.chain import check_chain, links
from node.outbox.layout import Outbox
from node.outbox.manifest import Manifest
from node.outbox.signing import SigningKeyError, load_public_key
from node.status.read import reading_index

WINDOW = 1024 * 1024


def verify_node(config: NodeConfig) -> list[str]:
    """Give a line for everything that is not as it was written; none if all is well.

    Reads every original and released file. While the node runs, a line may be about what is just
    moving: look again before acting on it.
    """
    return [
        *_originals(config),
        *_releases(config, Outbox(config.outbox_dir)),
        *_trails(config),
    ]


def _originals(config: NodeConfig) -> Iterator[str]:
    inbox = Inbox(config.inbox_dir)
    with reading_index(config) as conn:
        if conn is None:
            files = sum(1 for _ in inbox.studies.glob("*/*.dcm"))
            if files:
                yield f"{inbox.database}: there is no index, and {files} originals need one"
            return
        for problem in verify_inbox(inbox, conn):
            hint = " (--repair can)" if problem.repairable else ""
            yield f"{problem.place}: {problem.explanation}{hint}"


def _releases(config: NodeConfig, outbox: Outbox) -> Iterator[str]:
    known = _known_releases(config)
    if not known and not (outbox.releases.is_dir() and any(outbox.releases.iterdir())):
        return
    try:
        key = load_public_key(outbox.public_key)
    except SigningKeyError as error:
        yield str(error)
        return
    yield from check_chain(outbox.releases, key)
    for link in links(outbox.releases, key):
        if link.manifest is not None:
            yield from _files(outbox.releases / link.release, link.manifest)
            if known is not None and known.pop(link.release, "") != link.digest:
                yield f"release {link.release}: the index knows no release with this manifest"
    for name in known or ():
        yield f"release {name}: the index knows it, and it has no manifest that can be trusted"


def _known_releases(config: NodeConfig) -> dict[str, str] | None:
    """Give the digest of the manifest of each release that the index knows; None without index."""
    columns = generation.c
    query = select(columns.study, columns.number, columns.manifest_digest).where(
        columns.released_at.is_not(None)
    )
    with reading_index(config) as conn:
        if conn is None:
            return None
        return {f"{one}-g{number}": digest for one, number, digest in conn.execute(query)}


def _files(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Check that a release has all its files as the manifest says, or (purged) none."""
    named = {entry.file: entry for entry in manifest.instances}
    found = {path.name: path for path in folder.glob("*.dcm")}
    for name in sorted(found.keys() - named.keys()):
        yield f"release {folder.name}: {name} is in no manifest"
    if not found:
        return
    for name, entry in named.items():
        if name not in found:
            yield f"release {folder.name}: {name} is missing"
        elif _sha256(found[name]) != entry.sha256:
            yield f"release {folder.name}: {name} is not the file that was released"


def _trails(config: NodeConfig) -> Iterator[str]:
    for zone in (Inbox(config.inbox_dir), Outbox(config.outbox_dir)):
        for path in audit.trails(zone.audit):
            yield from (f"audit trail {problem}" for problem in audit.problems(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
