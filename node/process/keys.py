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


class IndexLost(KeyRefused):
    """Originals or releases are here, and the index that knows them is not."""


def settle_key(path: Path, inbox: Inbox, outbox: Outbox, conn: Connection) -> bytes:
    """Load the key, or make it at the very first start, and hold it to its recorded fingerprint.

    Raises
    ------
    KeyRefused
        If the key is missing or another one while the index or the releases are not empty, or
        (IndexLost) if the index is new while the folders are not empty.
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
    if recorded is None and not unused:
        raise IndexLost(
            f"{inbox.database} is lost or new, but originals or releases are here that it does not "
            "know: bring it back from its backup, or run `deid-node verify --repair`"
        )
    if not unused:
        hold_key_to(path, key, recorded)
    set_meta(conn, _META, fingerprint(key))
    return key


def settle_key_of_rebuilt(path: Path, newest_release: str | None, conn: Connection) -> bytes:
    """Load the key for an index that is rebuilt, and record it there.

    `newest_release` is the fingerprint in the newest manifest, None where nothing was released.

    Raises
    ------
    KeyMissing, KeyInvalid
        If there is no key.
    KeyRefused
        If it is not the key of the index or of the newest release.
    """
    key = load_key(path)
    hold_key_to(path, key, get_meta(conn, _META))
    hold_key_to(path, key, newest_release)
    set_meta(conn, _META, fingerprint(key))
    return key


def hold_key_to(path: Path, key: bytes, known: str | None) -> None:
    """Raise KeyRefused if another key than this is known to have been used."""
    if known not in (None, fingerprint(key)):
        raise KeyRefused(
            f"{path} is another key than the one that this node has used so far "
            f"(fingerprint {fingerprint(key)}, recorded {known}): bring the old one back"
        )
