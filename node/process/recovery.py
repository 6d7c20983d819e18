"""At start: what the run before left half done gets one way forward, by its row's state."""

from __future__ import annotations

import json

from sqlalchemy import delete, select

from node.inbox.states import StudyState
from node.inbox.tables import job, study
from node.outbox.manifest import ManifestInvalid
from node.process.finished import finished
from node.process.holding import hold_untrusted
from node.process.messages import AHEAD
from node.process.outdated import make_anew_if_outdated
from node.process.queueing import queue_jobs, waiting_instances
from node.process.release import is_out, record_release
from node.process.staging import clean_staging, release_name
from node.process.workplace import Workplace


def recover(place: Workplace) -> None:
    """Queue the jobs of dead workers again and clean the staging of what nobody needs.

    Everything else is found by the ordinary steps: files in `arrived/` are adopted, complete
    studies begun, and finished generations closed.
    """
    _record_releases(place)
    with place.transaction() as transaction:
        conn = transaction.conn
        processing = conn.execute(select(study).where(study.c.state == StudyState.PROCESSING)).all()
        outdated = sum(
            make_anew_if_outdated(place, transaction, finished(transaction, row))
            for row in processing
            if not is_out(place, row)
        )
        interrupted = conn.execute(select(job).where(job.c.state == "ACTIVE")).all()
        for row in interrupted:
            conn.execute(delete(job).where(job.c.id == row.id))
            if row.generation == AHEAD:
                continue  # its instances wait for their study anyhow
            names = json.loads(row.instances)
            again = waiting_instances(transaction, row.study, row.generation, among=names)
            queue_jobs(place, transaction, row.study, row.generation, again)
        unfinished = conn.execute(
            select(study.c.id, study.c.generation).where(
                study.c.state.in_((StudyState.PROCESSING, StudyState.HELD))
            )
        ).all()
        cleaned = clean_staging(place.outbox, {release_name(*row) for row in unfinished})
        transaction.log("recovered", jobs=len(interrupted), outdated=outdated, staging=cleaned)


def _record_releases(place: Workplace) -> None:
    """Write the rows of what was released when the run before ended, before anyone decides."""
    with place.index.connect() as conn:
        processing = conn.execute(select(study).where(study.c.state == StudyState.PROCESSING)).all()
    for row in processing:
        if is_out(place, row):
            try:
                with place.transaction() as transaction:
                    record_release(place, transaction, row)
            except ManifestInvalid as error:
                with place.transaction() as transaction:
                    hold_untrusted(place, transaction, row, error)
