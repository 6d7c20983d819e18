"""The node's pseudonym key at start: made only where nothing was ever made with another."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, select

from node.inbox.index import get_meta, set_meta
from node.inbox.layout import Inbox
from node.inbox.tables import study
from node.outbox.layout import Outbox
from node.process.workplace import log
from node.profile.key import KeyMissing, create_key, fingerprint, load_key

_META = "key_fingerprint"


class KeyRefused(Exception):  # noqa: N818 -- a fact that only a person can change
    """The key is missing or is another one; pseudonyms would not fit those already given out."""


def settle_key(path: Path, inbox: Inbox, outbox: Outbox, conn: Connection) -> bytes:
    """Load the key, or make it at the very first start, and hold it to its recorded fingerprint.

    Raises
    ------
    KeyRefused
        If the key is missing or another one while the index or the releases are not empty.
    KeyInvalid
        If its file is not what it must be.
    """
    recorded = get_meta(conn, _META)
    unused = not (
        conn.execute(select(study.c.id).limit(1)).scalar()
        or any(inbox.studies.iterdir())
        or any(outbox.releases.iterdir())
    )
    try:
        key = load_key(path)
    except KeyMissing:
        if not unused:
            raise KeyRefused(
                f"{path} is missing, but this node has received or released studies with it: "
                "bring it back from its backup"
            ) from None
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = create_key(path)
        log.info("key_created", fingerprint=fingerprint(key))
    if recorded not in (None, fingerprint(key)) and not unused:
        raise KeyRefused(
            f"{path} is another key than the one that this node has used so far "
            f"(fingerprint {fingerprint(key)}, recorded {recorded}): bring the old one back"
        )
    set_meta(conn, _META, fingerprint(key))
    return key
