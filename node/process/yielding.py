"""A worker that is ahead yields to whoever waits for it.

It has only the time that nobody else wants. On a busy machine that may be none, and a complete
study, or one that needs its slot, would wait for as long as the machine is busy.
"""

from __future__ import annotations

import time
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from sqlalchemy import Boolean, and_, bindparam, func, or_, select

from node.inbox.states import StudyState
from node.inbox.tables import job, study
from node.pool import Pool
from node.process.messages import AHEAD
from node.process.workplace import Workplace

#: A run that others wait for has so long to end, and no less than this for each instance: so long
#: it would take at most to make them again, and all that it did is lost when it is ended.
SECONDS = 2.0
SECONDS_EACH = 1 / 32

_queued = job.alias()
_JOBS_WAIT = (
    select(_queued.c.id).where(_queued.c.state == "QUEUED", _queued.c.generation != AHEAD).exists()
)
#: The workers ahead that a complete study waits for; if jobs wait for slots, all. And how many
#: instances each has.
_WAITED_FOR = (
    select(job.c.run, func.sum(func.json_array_length(job.c.instances)))
    .join(study, study.c.id == job.c.study)
    .where(job.c.generation == AHEAD)
    .group_by(job.c.run)
    .having(
        or_(
            func.max(study.c.state == StudyState.COMPLETE),
            and_(bindparam("slots_short", type_=Boolean), _JOBS_WAIT),
        )
    )
)


@dataclass(slots=True)
class Yielding:
    """Which workers are waited for, since when (monotonic), and which were ended for that."""

    since: dict[int, float] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)

    def end_late(self, place: Workplace, pool: Pool, active: AbstractSet[int]) -> None:
        """End the workers among the active that were waited for too long."""
        if not active:
            return
        now = time.monotonic()
        with place.index.connect() as conn:
            rows = conn.execute(_WAITED_FOR, {"slots_short": not pool.free})
            waited_for = {token: count for token, count in rows if token in active}
        self.since = {token: self.since.get(token, now) for token in waited_for}
        late = {
            token
            for token, count in waited_for.items()
            if now - self.since[token] >= max(SECONDS, SECONDS_EACH * count)
        }
        pool.kill(*late - self.ended)
        self.ended |= late

    def forget(self, token: int) -> bool:
        """Forget a worker that is over; tell whether it was ended here."""
        yielded = token in self.ended
        self.ended.discard(token)
        return yielded
