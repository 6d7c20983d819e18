"""`verify --repair` on the identified side: what the outbox knows of releases helps the inbox."""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import datetime

from node import disk
from node.config import NodeConfig
from node.inbox.digests import digests_of
from node.inbox.index import open_index
from node.inbox.layout import Inbox
from node.inbox.repair import KnownRelease, repair_inbox
from node.outbox.chain import links
from node.outbox.layout import Outbox
from node.outbox.signing import load_public_key
from node.profile.key import load_key


def repair(config: NodeConfig) -> list[str]:
    """Rebuild the index's rows from files, and tell in a line each what was done.

    Raises
    ------
    AlreadyLocked
        While `process` works; stop it first.
    KeyMissing, KeyInvalid
        Without the key nobody can tell which study a file belongs to.
    """
    inbox, outbox = Inbox(config.inbox_dir), Outbox(config.outbox_dir)
    inbox.create()
    with ExitStack() as closing:
        closing.callback(os.close, disk.lock_file(inbox.locks / "process.lock"))
        key = load_key(config.keys_dir / "pseudonym.key")
        index = open_index(inbox.database)
        closing.callback(index.dispose)
        with index.begin() as conn:
            return repair_inbox(inbox, conn, digests_of(key), known_releases(outbox))


def known_releases(outbox: Outbox) -> list[KnownRelease]:
    """Read every manifest that can be trusted."""
    if not outbox.public_key.exists():
        return []
    found = []
    for link in links(outbox.releases, load_public_key(outbox.public_key)):
        manifest = link.manifest
        if manifest is not None:
            found.append(
                KnownRelease(
                    study=manifest.study,
                    number=manifest.generation,
                    sequence=manifest.sequence,
                    route=manifest.route,
                    profile=manifest.profile,
                    profile_digest=manifest.profile_digest,
                    domain=manifest.domain,
                    key_fingerprint=manifest.key_fingerprint,
                    instances=manifest.totals["instances"],
                    released_at=datetime.fromisoformat(manifest.created).timestamp(),
                    manifest_digest=link.digest,
                )
            )
    return found
