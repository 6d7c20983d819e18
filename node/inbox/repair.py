"""Rebuild rows from files, for `deid-node verify --repair`; `process` must not be running.

Nothing is guessed: what became of an original that lost its row is not known, so its study is HELD,
and a person has it made anew (`held requeue`), which gives the same pseudonyms again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from node.inbox.digests import Digests
from node.inbox.header import Header, Unreadable, read_header
from node.inbox.header_columns import header_columns
from node.inbox.layout import Inbox
from node.inbox.releases import KnownRelease, know_releases
from node.inbox.states import InstanceState, StudyState
from node.inbox.tables import COUNTS, event, instance, study, total
from node.inbox.verify import counted_rows, files_without_row

REASON = "rebuilt from its files: what became of it is not known"


def repair_inbox(
    inbox: Inbox, conn: Connection, digests: Digests, releases: Sequence[KnownRelease]
) -> list[str]:
    """Give every original its row, and make every count that of its rows; tell what was done."""
    rebuilt = Counter(
        _rebuild(conn, digests, path) for path in list(files_without_row(inbox, conn))
    )
    done = [
        f"{study_id}: {count} original{'s' * (count != 1)} with a row again; the study is held"
        for study_id, count in rebuilt.items()
    ]
    done += know_releases(conn, releases)
    done += _recount(conn)
    return done


def _rebuild(conn: Connection, digests: Digests, path: Path) -> str:
    try:
        header: Header | None = read_header(path)
    except Unreadable:
        header = None
    study_id = path.parent.name
    _hold_study(conn, digests, study_id, header)
    facts = path.stat()
    row: dict[str, Any] = {
        "id": path.stem,
        "study": study_id,
        "state": InstanceState.RECEIVED if header else InstanceState.QUARANTINED,
        "reason": "" if header else "the header cannot be read",
        "arrived_at": facts.st_mtime,
        "bytes": facts.st_size,
        **header_columns(header, digests),
    }
    row["series"] = _series_number(conn, study_id, row["series_digest"])
    conn.execute(insert(instance).values(row))
    return study_id


def _hold_study(conn: Connection, digests: Digests, study_id: str, header: Header | None) -> None:
    """Have the study there, and held unless it was rejected."""
    state = conn.execute(select(study.c.state).where(study.c.id == study_id)).scalar()
    if state == StudyState.REJECTED:
        return
    if state is None:
        conn.execute(
            insert(study).values(
                id=study_id,
                state=StudyState.HELD,
                state_since=time.time(),
                reason=REASON,
                uid_digest=digests.of(header.study_instance_uid) if header else None,
                study_instance_uid=header.study_instance_uid if header else None,
                opened_at=time.time(),
                called_ae_title=header.called_ae_title if header else "",
                calling_ae_title=header.calling_ae_title if header else "",
                modality=header.modality if header else "",
            )
        )
        detail = '{"rebuilt": true}'
        conn.execute(
            insert(event).values(study=study_id, at=time.time(), name="study_held", detail=detail)
        )
    elif state != StudyState.HELD:
        # Not a move of the table: the row lost an instance, so nothing it says can be relied on.
        conn.execute(
            update(study)
            .where(study.c.id == study_id)
            .values(state=StudyState.HELD, reason=REASON, purged_at=None)
        )


def _series_number(conn: Connection, study_id: str, digest: str) -> int:
    mine = instance.c.study == study_id
    known = conn.execute(
        select(instance.c.series).where(mine, instance.c.series_digest == digest).limit(1)
    ).scalar()
    if known is not None:
        return int(known)
    highest = conn.execute(select(func.max(instance.c.series)).where(mine)).scalar() or 0
    conn.execute(update(study).where(study.c.id == study_id).values(series=highest + 1))
    return int(highest) + 1


def _recount(conn: Connection) -> list[str]:
    counted = counted_rows(conn)
    done = []
    for row in conn.execute(select(study)).mappings().all():
        counts = counted.get(row["id"], dict.fromkeys(COUNTS, 0))
        if any(row[name] != counts[name] for name in COUNTS):
            conn.execute(update(study).where(study.c.id == row["id"]).values(counts))
            done.append(f"{row['id']}: was counted again")
    conn.execute(total.delete())
    sums = [func.sum(study.c[name]).label(name) for name in COUNTS]
    query = select(study.c.state, func.count().label("studies"), *sums).group_by(study.c.state)
    for row in conn.execute(query).mappings().all():
        conn.execute(insert(total).values(dict(row)))
    return done
