"""Is the index what the files say? For `deid-node verify`, and what `--repair` can rebuild.

Files are the truth: a file without a row gets one, and its study, whose outcome nobody knows any
more, is HELD for a person. A row without a file is told and never dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from node.inbox.dataset_digest import dataset_digest
from node.inbox.header import Unreadable
from node.inbox.layout import Inbox
from node.inbox.originals import original
from node.inbox.states import InstanceState
from node.inbox.tables import COUNTS, decision, instance, study, total

_COUNTED = {
    InstanceState.RECEIVED: "waiting",
    InstanceState.EXCLUDED: "excluded",
    InstanceState.QUARANTINED: "quarantined",
    InstanceState.DUPLICATE: "duplicate",
    InstanceState.REJECTED: "rejected",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it must be, by our own ids; `repairable` by `--repair`."""

    place: str
    explanation: str
    repairable: bool = False


def verify_inbox(inbox: Inbox, conn: Connection, deep: bool = True) -> Iterator[Problem]:
    """Find everything that index and files disagree about.

    `deep` reads every original whose digest is known. While `process` works, rows and files move
    between two looks; ask with `process` stopped for an answer that stands.
    """
    yield from _check_database(conn)
    yield from _check_counts(conn)
    yield from _check_files(inbox, conn)
    yield from _check_rows(inbox, conn, deep)
    yield from _check_decisions(inbox, conn)


def counted_rows(conn: Connection, *which: Any) -> dict[str, dict[str, int]]:
    """Count the instances of each study, or of those that conditions name, the slow way."""
    counted: dict[str, dict[str, int]] = {}
    columns = (instance.c.study, instance.c.state, instance.c.released)
    query = select(*columns, func.count()).where(*which).group_by(*columns)
    for study_id, state, released, count in conn.execute(query):
        counts = counted.setdefault(study_id, dict.fromkeys(COUNTS, 0))
        counts[_COUNTED.get(state, "released" if released else "deidentified")] += count
        counts["received"] += count
    return counted


def files_without_row(inbox: Inbox, conn: Connection) -> Iterator[Path]:
    """Give each original that the index does not know."""
    for folder in sorted(inbox.studies.iterdir()):
        rows = select(instance.c.id).where(instance.c.study == folder.name)
        known = set(conn.execute(rows).scalars())
        yield from (path for path in sorted(folder.iterdir()) if path.stem not in known)


def _check_database(conn: Connection) -> Iterator[Problem]:
    for (line,) in conn.exec_driver_sql("PRAGMA quick_check"):
        if line != "ok":
            yield Problem("index", f"the database is damaged: {line}")
    if conn.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        yield Problem("index", "rows refer to rows that are not there")


def _check_counts(conn: Connection) -> Iterator[Problem]:
    counted = counted_rows(conn)
    sums: dict[str, dict[str, int]] = {}
    for row in conn.execute(select(study)).mappings():
        counts = counted.get(row["id"], dict.fromkeys(COUNTS, 0))
        if any(row[name] != counts[name] for name in COUNTS):
            yield Problem(row["id"], "its counts are not those of its rows", repairable=True)
        state = sums.setdefault(row["state"], dict.fromkeys((*COUNTS, "studies"), 0))
        state["studies"] += 1
        for name in COUNTS:
            state[name] += row[name]
    nothing = dict.fromkeys((*COUNTS, "studies"), 0)
    for row in conn.execute(select(total)).mappings():
        if any(row[name] != sums.get(row["state"], nothing)[name] for name in nothing):
            yield Problem(f"total of {row['state']}", "is not the sum of its studies", True)


def _check_files(inbox: Inbox, conn: Connection) -> Iterator[Problem]:
    for path in files_without_row(inbox, conn):
        yield Problem(f"{path.parent.name}/{path.stem}", "the original has no row", True)


def _check_rows(inbox: Inbox, conn: Connection, deep: bool) -> Iterator[Problem]:
    columns = instance.c
    query = select(columns.id, columns.study, columns.bytes, columns.source_digest)
    for row in conn.execute(query.where(~columns.purged).order_by(columns.study)):
        path = original(inbox, row.study, row.id)
        if not path.exists():
            path = inbox.arrived / f"{row.id}.dcm"  # its row was written, its move is still to come
        place = f"{row.study}/{row.id}"
        if not path.exists():
            yield Problem(place, "the original is missing")
        elif path.stat().st_size != row.bytes:
            yield Problem(place, "the original is not of the size that was received")
        elif deep and row.source_digest and not _is_same(path, row.source_digest):
            yield Problem(place, "the original is not what was received: its digest differs")


def _is_same(path: Path, digest: str) -> bool:
    try:
        return dataset_digest(path, like=digest) == digest
    except (OSError, Unreadable, ValueError):
        return False


def _check_decisions(inbox: Inbox, conn: Connection) -> Iterator[Problem]:
    """Every applied decision has its file, and every file that says applied has its row."""
    applied = set(conn.execute(select(decision.c.id).where(decision.c.applied)).scalars())
    names = {path.name for path in inbox.decisions.iterdir()}
    marked = {name.removesuffix(".applied.json") for name in names if ".applied." in name}
    for missing in sorted(marked - applied):
        yield Problem(f"decision {missing}", "is marked as applied and has no row")
    for one in sorted(applied - marked):
        if f"{one}.json" not in names:  # else it was applied just now, and is marked next
            yield Problem(f"decision {one}", "was applied, and its file is missing")
