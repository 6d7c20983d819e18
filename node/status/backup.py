"""A copy of a node's folders as of one moment, made while the node works.

The moment is when the index is copied. The ledger is copied just before it, so that it knows of no
release that the index cannot know. Files never change once they are in their place, so they are
copied in two rounds: most before that moment, the rest after it; then the copy is settled to say
what its databases say. What came in after the moment lies in the copy's `arrived/` and is adopted
like any arrival; what was released after it is released again, to the same bytes.

Not copied: keys, which must lie elsewhere; `spool/`, never acknowledged; `staging/`, made anew.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, select

from node.config import NodeConfig
from node.inbox.index import open_index
from node.inbox.layout import Inbox
from node.inbox.tables import decision, generation
from node.inbox.verify import files_without_row, verify_inbox
from node.outbox import tables as outbox_tables
from node.outbox.layout import Outbox
from node.outbox.ledger import open_ledger


def back_up(config: NodeConfig, folder: Path) -> list[str]:
    """Copy the node into `folder`, which must not exist; a line for all that the copy lacks.

    Raises
    ------
    FileExistsError
        If `folder`, or what a backup that was cut off left beside it, is there.
    DatabaseNotReady, DatabaseTooNew
        If a database is missing, or is not of this version's schema.
    """
    if folder.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
    making = folder.with_name(f".{folder.name}.part")
    making.mkdir(mode=0o700)
    inbox, outbox = Inbox(config.inbox_dir), Outbox(config.outbox_dir)
    inbox_copy, outbox_copy = Inbox(making / inbox.root.name), Outbox(making / outbox.root.name)
    _make_folders(inbox.root, inbox_copy.root)
    _make_folders(outbox.root, outbox_copy.root)
    _copy_large(inbox, outbox, inbox_copy, outbox_copy)
    _copy_database(outbox.database, outbox_copy.database)
    _copy_database(inbox.database, inbox_copy.database)
    _copy_large(inbox, outbox, inbox_copy, outbox_copy)
    _copy_small(inbox, outbox, inbox_copy, outbox_copy)
    problems = _settle(inbox_copy, outbox_copy)
    shutil.copystat(config.node.data_dir, making)
    os.sync()
    making.rename(folder)
    return problems


def _copy_large(inbox: Inbox, outbox: Outbox, inbox_copy: Inbox, outbox_copy: Outbox) -> None:
    """Copy what is not in the copy yet. `arrived` first: files go on from there to `studies`."""
    _copy_new(inbox.arrived, inbox_copy.arrived)
    _copy_new(inbox.studies, inbox_copy.studies)
    _copy_new(outbox.releases, outbox_copy.releases)


def _copy_small(inbox: Inbox, outbox: Outbox, inbox_copy: Inbox, outbox_copy: Outbox) -> None:
    for source, target in ((inbox, inbox_copy), (outbox, outbox_copy)):
        _copy_new(source.audit, target.audit)
        # Twice: a file may be marked, and so renamed, between two looks.
        _copy_new(source.decisions, target.decisions)
        _copy_new(source.decisions, target.decisions)
    _copy_new(outbox.receipts, outbox_copy.receipts)
    _copy_new(outbox.withdrawals, outbox_copy.withdrawals)
    for key in (outbox.public_key, outbox.forward_key, outbox.forward_public_key):
        if key.exists():
            _copy(key, outbox_copy.root / key.relative_to(outbox.root))


def _settle(inbox: Inbox, outbox: Outbox) -> list[str]:
    """Make the files of a copy those of its databases; tell what cannot be."""
    with ExitStack() as opened:
        conn = _open(opened, open_index(inbox.database, readonly=True))
        sent = _open(opened, open_ledger(outbox.database, readonly=True))
        _settle_originals(inbox, conn)
        decided = set(conn.execute(select(decision.c.id)).scalars())
        _settle_decisions(inbox.decisions, inbox.decisions.glob("*.*.json"), decided)
        taken = sent.execute(select(outbox_tables.decision.c.name)).scalars()
        _settle_decisions(outbox.decisions, outbox.decisions.glob("*/*.json"), set(taken))
        _settle_releases(outbox, _known_releases(conn, sent))
        return [f"{one.place}: {one.explanation}" for one in verify_inbox(inbox, conn, deep=False)]


def _open(opened: ExitStack, engine: Engine) -> Connection:
    opened.callback(engine.dispose)
    return opened.enter_context(engine.connect())


def _settle_originals(inbox: Inbox, conn: Connection) -> None:
    """Let what the index does not know arrive again, and drop the first of two places."""
    for path in list(files_without_row(inbox, conn)):
        path.replace(inbox.arrived / path.name)
    known = {path.name for path in inbox.studies.glob("*/*.dcm")}
    for path in list(inbox.arrived.iterdir()):
        if path.name in known:
            path.unlink()


def _settle_decisions(waiting: Path, marked: Iterable[Path], known: AbstractSet[str]) -> None:
    """Let what the rows have not heard of wait again, and drop the first of two names."""
    for path in list(marked):
        unmarked = waiting / f"{path.name.split('.')[0]}.json"
        if known & {unmarked.stem, unmarked.name}:
            unmarked.unlink(missing_ok=True)
        else:
            path.replace(unmarked)


def _known_releases(conn: Connection, sent: Connection) -> set[str]:
    columns = generation.c
    query = select(columns.study, columns.number).where(columns.released_at.is_not(None))
    names = {f"{study}-g{number}" for study, number in conn.execute(query)}
    return names | set(sent.execute(select(outbox_tables.release.c.name)).scalars())


def _settle_releases(outbox: Outbox, known: AbstractSet[str]) -> None:
    """Drop what was released after the moment, and the receipts of it."""
    for folder in list(outbox.releases.iterdir()):
        if folder.name not in known:
            shutil.rmtree(folder)
    for path in list(outbox.receipts.iterdir()):
        if path.name.split("--")[0] not in known:
            path.unlink()


def _make_folders(source: Path, target: Path) -> None:
    """Make a zone's folders, all empty."""
    _make_folder(source, target)
    for folder in source.iterdir():
        if folder.is_dir():
            _make_folder(folder, target / folder.name)


def _copy_new(source: Path, target: Path) -> None:
    """Copy every file that the target lacks; what goes away meanwhile is left."""
    for folder, _, names in os.walk(source):
        into = target / Path(folder).relative_to(source)
        if names and not into.exists():
            _make_folder(Path(folder), into)
        for name in names:
            if not name.startswith(".") and not (into / name).exists():
                with suppress(FileNotFoundError):
                    _copy(Path(folder, name), into / name)


def _make_folder(source: Path, target: Path) -> None:
    target.mkdir()
    _like(source, target)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target, follow_symlinks=False)
    _like(source, target)


def _copy_database(source: Path, target: Path) -> None:
    """Copy all pages in one step, which no writer comes between."""
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as whole,
        closing(sqlite3.connect(target)) as copy,
    ):
        whole.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file; its role sets WAL again
    _like(source, target)


def _like(source: Path, target: Path) -> None:
    """Give a copy its original's owner, as far as we may, mode and times."""
    if os.geteuid() == 0:
        facts = source.stat()
        os.chown(target, facts.st_uid, facts.st_gid)
    shutil.copystat(source, target)
