"""`study_progress`: at most once a second and study, and once at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

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


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a generation: first and last, when and how many were done."""

    number: int
    first_at: float
    first_done: int
    at: float
    done: int


@dataclass(slots=True)
class Progress:
    """What was told of the studies that are with the workers; times are monotonic seconds."""

    told: dict[str, Told] = field(default_factory=dict)
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
            told = self.told.get(study_id)
            if told is None or told.number != number:
                told = self.told[study_id] = Told(number, now, done, now, done)
                facts = {}
            elif done != told.done and now - told.at >= SECONDS:
                told = self.told[study_id] = replace(told, at=now, done=done)
                facts = _pace(told, of)
            else:
                continue
            log.info(
                "study_progress", study=study_id, generation=number, done=done, total=of, **facts
            )
        current = {row[0] for row in rows}
        self.told = {key: value for key, value in self.told.items() if key in current}


def _pace(told: Told, total: int) -> dict[str, float]:
    """Give instances per second since the generation was first told, and how long the rest takes.

    Nothing where what counts as done became less: a person had instances made anew.
    """
    rate = (told.done - told.first_done) / (told.at - told.first_at)
    if rate <= 0:
        return {}
    return {"per_second": round(rate, 1), "seconds_left": round((total - told.done) / rate, 1)}
