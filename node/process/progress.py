"""`study_progress`: at most once a second and study, and once at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from sqlalchemy import select

from node.inbox.states import StudyState
from node.inbox.tables import study, total
from node.process.workplace import Workplace, log

SECONDS = 1.0
_UNDER_WAY = (StudyState.RECEIVING, StudyState.COMPLETE, StudyState.PROCESSING)


_ANY_UNDER_WAY = (
    select(total.c.state).where(total.c.state.in_(_UNDER_WAY), total.c.studies > 0).limit(1)
)
_AT_WORK = select(study.c.id, study.c.generation, study.c.done, study.c.total).where(
    study.c.state == StudyState.PROCESSING, study.c.done > 0
)


def under_way(place: Workplace) -> bool:
    """Tell whether any study may move by itself."""
    with place.index.connect() as conn:
        return conn.execute(_ANY_UNDER_WAY).scalar() is not None


@dataclass(slots=True)
class Progress:
    """What was told last of the studies that are with the workers: when, and how many were done."""

    told: dict[str, tuple[float, int]] = field(default_factory=dict)
    looked: float = 0.0

    def tell(self, place: Workplace) -> None:
        """Log the progress of each study that got on since it was told last."""
        now = time.monotonic()
        if now - self.looked < SECONDS / 4:
            return
        self.looked = now
        with place.index.connect() as conn:
            rows = conn.execute(_AT_WORK).all()
        for study_id, number, done, of in rows:
            last, before = self.told.get(study_id, (0.0, 0))
            if done != before and now - last >= SECONDS:
                self.told[study_id] = (now, done)
                log.info("study_progress", study=study_id, generation=number, done=done, total=of)
        current = {row[0] for row in rows}
        self.told = {key: value for key, value in self.told.items() if key in current}
