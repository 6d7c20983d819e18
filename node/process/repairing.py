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
from node.inbox.releases import KnownInstance, KnownRelease
from node.inbox.repair import repair_inbox
from node.outbox.chain import links
from node.outbox.layout import Outbox
from node.outbox.signing import load_public_key
from node.process.keys import settle_key_of_rebuilt


def repair(config: NodeConfig) -> list[str]:
    """Rebuild the index's rows from files, and tell in a line each what was done.

    Raises
    ------
    AlreadyLocked
        While `process` works; stop it first.
    KeyMissing, KeyInvalid
        Without the key nobody can tell which study a file belongs to.
    KeyRefused
        If it is another key than the one that was used so far.
    """
    inbox, outbox = Inbox(config.inbox_dir), Outbox(config.outbox_dir)
    inbox.create()
    with ExitStack() as closing:
        closing.callback(os.close, disk.lock_file(inbox.locks / "process.lock"))
        releases = known_releases(outbox)
        newest = max(releases, key=lambda release: release.sequence, default=None)
        path, known = config.keys_dir / "pseudonym.key", newest.key_fingerprint if newest else None
        index = open_index(inbox.database)
        closing.callback(index.dispose)
        with index.begin() as conn:
            key = settle_key_of_rebuilt(path, known, conn)
            return repair_inbox(inbox, conn, digests_of(key), releases)


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
                    released_at=datetime.fromisoformat(manifest.created).timestamp(),
                    manifest_digest=link.digest,
                    instances=tuple(
                        KnownInstance(
                            sop_instance_uid=one.sop_instance_uid,
                            sha256=one.sha256,
                            bytes=one.bytes,
                            sop_class_uid=one.sop_class_uid,
                            transfer_syntax_uid=one.transfer_syntax_uid,
                            modality=one.modality,
                        )
                        for one in manifest.instances
                        if not one.variant
                    ),
                    purged=not any(
                        (outbox.releases / manifest.release / one.file).exists()
                        for one in manifest.instances
                    ),
                )
            )
    return found
