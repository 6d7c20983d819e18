"""Read the status as one plain shape, which `--json`, tables and the web page share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from node import disk
from node.config import NodeConfig
from node.database import DatabaseNotReady, DatabaseOld
from node.inbox import views
from node.inbox.index import open_index
from node.inbox.layout import Inbox
from node.inbox.states import StudyState
from node.inbox.tables import instance
from node.outbox.deliveries import refused_releases
from node.outbox.destinations import destinations_overview
from node.outbox.layout import Outbox
from node.outbox.ledger import open_ledger
from node.status import measures

#: How many names SQLite takes in one `IN`.
NAMES_AT_ONCE = 500
#: What a node shows that has not worked yet.
NO_WORKERS = {"totalWorkers": 0, "activeJobs": 0, "queuedJobs": 0}
#: Severities that hold a study (node.validate), the gravest first.
GRAVITY = ("leak", "invalid", "hold")
CONSERVATION = (
    "received", "released", "held", "quarantined", "duplicate", "excluded", "rejected", "pending",
)  # fmt: skip


def status(config: NodeConfig, limit: int = -1) -> dict[str, Any]:
    """Read everything that an operator asks first; `limit` bounds the studies listed.

    Gives `{roles, workers, conservation, study_counts, in_quarantine, studies, destinations,
    refused_releases}`; `in_quarantine` counts released studies that left instances there. Times
    are UTC, ISO 8601. Free of PHI.
    """
    alive = roles(config)
    # Listed before the rows are read: what is adopted in between is then found to have its row.
    arrived = arrived_names(config)
    found: dict[str, Any] = {
        "roles": alive,
        "workers": NO_WORKERS,
        "conservation": dict.fromkeys(CONSERVATION, 0)
        | {"received": len(arrived), "pending": len(arrived)},
        "study_counts": dict.fromkeys(StudyState, 0),
        "in_quarantine": 0,
        "studies": [],
    }
    with reading_index(config) as conn:
        if conn is not None:
            found["workers"] = views.workers(conn, process_alive=alive["process"])
            found["conservation"] = views.conservation(conn, _without_row(conn, arrived))
            found["study_counts"] = views.study_counts(conn)
            found["in_quarantine"] = measures.released_in_quarantine(conn)
            found["studies"] = [study_shape(conn, row) for row in views.studies(conn, limit=limit)]
    found["destinations"] = destinations(config)
    with reading_ledger(config) as conn:
        found["refused_releases"] = [] if conn is None else refused_releases(conn)
    return found


def roles(config: NodeConfig) -> dict[str, bool]:
    """Tell of each role whether it lives: a live role holds its lock."""
    inbox, outbox = Inbox(config.inbox_dir), Outbox(config.outbox_dir)
    return {
        "receive": disk.is_locked(inbox.locks / "receive.lock"),
        "process": disk.is_locked(inbox.locks / "process.lock"),
        "forward": disk.is_locked(outbox.locks / "forward.lock"),
        "web": disk.is_locked(inbox.locks / "web.lock"),
    }


def destinations(config: NodeConfig) -> list[dict[str, Any]]:
    """Give every configured destination's counts of instances and its last answer."""
    names = tuple(destination.name for destination in config.effective_destinations)
    with reading_ledger(config) as conn:
        if conn is not None:
            rows = destinations_overview(conn, names)
            return [row | {"deferred_until": when(row["deferred_until"])} for row in rows]
    return [
        {
            "name": name, "pending": 0, "deferred_until": None, "delivered": 0, "committed": 0,
            "refused": 0, "last_answer": "", "paused": False,
        }
        for name in names
    ]  # fmt: skip


def study_shape(conn: Connection, row: views.StudyRow) -> dict[str, Any]:
    """Give a study as `status --json` and `studies --json` show it.

    `done` of `total` is the current generation's progress; before it begins, 0 of what waits.
    """
    shape = asdict(row)
    shape["instances"] = row.received
    shape["opened_at"] = when(row.opened_at)
    shape["purged_at"] = when(row.purged_at)
    if row.state in (StudyState.RECEIVING, StudyState.COMPLETE):
        shape["done"], shape["total"] = 0, row.waiting
    shape["why"] = _why(conn, row)
    return shape


def when(seconds: float | None) -> str | None:
    """Give a time of the rows as UTC, ISO 8601, to the second."""
    return (
        None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat("T", "seconds")
    )


def reading_index(config: NodeConfig) -> AbstractContextManager[Connection | None]:
    """Read the index in one transaction; None while `process` has not made it.

    Raises DatabaseOld, DatabaseTooNew.
    """
    return _reading(open_index, Inbox(config.inbox_dir).database)


def reading_ledger(config: NodeConfig) -> AbstractContextManager[Connection | None]:
    """Read the ledger in one transaction; None while `forward` has not made it.

    Raises DatabaseOld, DatabaseTooNew.
    """
    return _reading(open_ledger, Outbox(config.outbox_dir).database)


@contextmanager
def _reading(opened: Callable[..., Engine], database: Path) -> Iterator[Connection | None]:
    try:
        engine = opened(database, readonly=True)
    except DatabaseOld:
        raise  # what is in it is not nothing
    except DatabaseNotReady:
        yield None
        return
    try:
        with engine.connect() as conn:
            yield conn
    finally:
        engine.dispose()


def arrived_names(config: NodeConfig) -> list[str]:
    """List the instance ids of the files that lie in `arrived/`."""
    folder = Inbox(config.inbox_dir).arrived
    return [path.stem for path in folder.glob("*.dcm")] if folder.is_dir() else []


def _without_row(conn: Connection, names: list[str]) -> int:
    known = 0
    for start in range(0, len(names), NAMES_AT_ONCE):
        some = names[start : start + NAMES_AT_ONCE]
        known += conn.execute(
            select(func.count()).select_from(instance).where(instance.c.id.in_(some))
        ).scalar_one()
    return len(names) - known


def _why(conn: Connection, row: views.StudyRow) -> str:
    """Say in a line why a study is held or rejected, or what of it did not go out."""
    if row.state == StudyState.RELEASED and row.quarantined:
        count = f"{row.quarantined} instance{'s' * (row.quarantined != 1)}"
        return f"went out without {count}: still in quarantine"
    if row.state not in (StudyState.HELD, StudyState.REJECTED):
        return ""
    if row.state == StudyState.REJECTED and row.reason:
        return row.reason
    gravest = sorted(
        (found for found in views.findings(conn, row.study) if found.severity in GRAVITY),
        key=lambda found: GRAVITY.index(found.severity),
    )
    return gravest[0].explanation if gravest else row.reason
