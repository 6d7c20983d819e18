"""What goes when its time is over: originals, releases, and studies that nobody decides about.

Rows first, files second: a run that ends in between leaves files that the next one's first pass
removes. Purging changes no count; it strips PHI from the rows and leaves keyed digests.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select, update

from node import observe
from node.inbox.header_columns import PHI
from node.inbox.index import AnyRow
from node.inbox.states import StudyState
from node.inbox.tables import generation, instance, study
from node.outbox.manifest import FILE_NAME
from node.process.receipts import is_settled
from node.process.rejecting import reject
from node.process.staging import release_name, staging_folder
from node.process.workplace import Workplace, log

DAY = 86400.0
#: So many studies or releases are purged in one pass, so that no tick takes long.
AT_ONCE = 20


def keep_times(place: Workplace) -> None:
    """Purge what is due and warn about what is held for long."""
    purge_originals(place)
    purge_releases(place)
    look_after_held(place)


def purge_originals(place: Workplace) -> None:
    """Remove the originals of rejected studies at once, of released ones after their time.

    Whatever has no outcome yet keeps the originals of its study, and so does what is in quarantine
    until a person excludes it or `held_max_days` are over: the original is all there is of it.
    """
    due = _studies(place, StudyState.REJECTED, 0.0)[:AT_ONCE]
    if days := place.config.retention.originals_days:
        old = _studies(place, StudyState.RELEASED, days * DAY)
        idle = (row for row in old if _is_decided(place, row))
        due += [row for row in idle if _all_settled(place, row.id)][: AT_ONCE - len(due)]
    for row in due:
        with place.transaction() as transaction:
            transaction.conn.execute(
                update(study)
                .where(study.c.id == row.id, study.c.state == row.state)
                .values(purged_at=transaction.wall, study_instance_uid=None)
            )
            transaction.conn.execute(
                update(instance)
                .where(instance.c.study == row.id)
                .values(purged=True, **dict.fromkeys(PHI))
            )
            transaction.tell("originals_purged", row.id, instances=row.received)
        _remove(place.inbox.studies / row.id, row.id)
        # What was held in staging went with the rejection.
        staged = staging_folder(place.outbox, row.id, row.generation)
        _remove(staged, row.id)


def _is_decided(place: Workplace, row: AnyRow) -> bool:
    if row.waiting or row.deidentified:
        return False
    longest = place.config.retention.held_max_days * DAY
    return not row.quarantined or 0 < longest <= place.clock.now() - row.state_since


def finish_purging(place: Workplace) -> None:
    """Remove at start what the run before had purged in its rows and not yet on disk."""
    with place.index.connect() as conn:
        names = {path.name for path in place.inbox.studies.iterdir()}
        purged = conn.execute(select(study.c.id).where(study.c.purged_at.is_not(None))).scalars()
        for name in names.intersection(purged):
            _remove(place.inbox.studies / name, name)
        purged_releases = conn.execute(
            select(generation).where(generation.c.purged_at.is_not(None))
        ).all()
    for row in purged_releases:
        _empty_release(place, row)


def purge_releases(place: Workplace) -> None:
    """Remove the files of releases that every destination has, after their time; manifests stay."""
    days = place.config.retention.released_days
    if not days:
        return
    with place.index.connect() as conn:
        old = conn.execute(
            select(generation).where(
                generation.c.purged_at.is_(None),
                generation.c.released_steady > 0,
                generation.c.released_steady <= place.clock.now() - days * DAY,
            )
        ).all()
    for row in [row for row in old if is_settled(place.outbox, row)][:AT_ONCE]:
        with place.transaction() as transaction:
            transaction.conn.execute(
                update(generation)
                .where(generation.c.study == row.study, generation.c.number == row.number)
                .values(purged_at=transaction.wall)
            )
            transaction.tell("release_purged", row.study, generation=row.number)
        _empty_release(place, row)


def look_after_held(place: Workplace) -> None:
    """Warn about studies held for long, and end those that the site lets end by themselves."""
    options, now = place.config.retention, place.clock.now()
    if options.held_max_days:
        for row in _studies(place, StudyState.HELD, options.held_max_days * DAY)[:AT_ONCE]:
            with place.transaction() as transaction:
                reject(transaction, row.id, StudyState.HELD, "held longer than it may be")
    if options.held_warn_days:
        for row in _studies(place, StudyState.HELD, options.held_warn_days * DAY):
            if now - max(row.warned_steady, row.state_since) < options.held_warn_days * DAY:
                continue
            with place.transaction() as transaction:
                transaction.conn.execute(
                    update(study).where(study.c.id == row.id).values(warned_steady=now)
                )
                days = int((now - row.state_since) / DAY)
                transaction.tell("study_held_long", row.id, days=days)


def _studies(place: Workplace, state: StudyState, seconds: float) -> list[AnyRow]:
    """Give the studies that have been in a state so long and are not purged, the oldest first."""
    query = (
        select(study)
        .where(
            study.c.state == state,
            study.c.purged_at.is_(None),
            study.c.state_since <= place.clock.now() - seconds,
        )
        .order_by(study.c.state_since)
    )
    with place.index.connect() as conn:
        return list(conn.execute(query).all())


def _all_settled(place: Workplace, study_id: str) -> bool:
    query = select(generation).where(
        generation.c.study == study_id, generation.c.released_at.is_not(None)
    )
    with place.index.connect() as conn:
        released: Sequence[AnyRow] = conn.execute(query).all()
    return all(is_settled(place.outbox, row) for row in released)


def _remove(folder: Path, study_id: str) -> None:
    """Remove a folder; what cannot be removed is told, and tried again at the next start."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        log.error("storage_failed", study=study_id, **observe.exception_facts(error))


def _empty_release(place: Workplace, row: AnyRow) -> None:
    folder = place.outbox.releases / release_name(row.study, row.number)
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name != FILE_NAME:
            path.unlink()
