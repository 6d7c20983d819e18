"""Work ahead: what has arrived is de-identified while the rest of its study still arrives.

An outcome is a pure function of bytes and recipe, so one that is made early is the one that would
be made later. Nothing is decided by it: the study stays RECEIVING and its instances without an
outcome, until its generation begins and takes over what was made by the very recipe that it has
then. All else is thrown away and made in its time. Known in memory only: a run that ends loses it.

Receiving comes first: while instances arrive, one worker at most is ahead, and only in time that
nobody else wants. On a busy machine that may be none: yielding.py.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, select

from node.inbox.states import InstanceState, StudyState
from node.inbox.tables import instance, job, study
from node.pool import Ended, Pool, PoolBroken
from node.process.choosing import CannotBegin, choose
from node.process.chunks import Chunk, Waiting, cut
from node.process.jobs import activate, fits, forget_job, launch, uncount_attempt
from node.process.messages import AHEAD, Deidentify, Done, Failed, Outcome
from node.process.numbering import next_generation
from node.process.patients import Consent
from node.process.recording import record_death
from node.process.staging import staging_folder
from node.process.workplace import Transaction, Workplace
from node.process.yielding import Yielding

#: A job for fewer costs more than it saves, unless no more come for a while.
LEAST = 16
QUIET_SECONDS = 0.5
#: Nothing arrived for so long: the node is not receiving.
LULL_SECONDS = 0.15
#: While it is, only what has waited for so long is worked at.
PATIENCE_SECONDS = 2.0
#: So many outcomes are kept at most; what comes beyond is made when its study is complete.
MOST = 20_000
SWEEP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """For which generation, and by which recipe, something is made."""

    study: str
    number: int
    recipe_digest: str


@dataclass(slots=True)
class Arrived:
    """What has arrived of a study and is with no worker; first and last in monotonic seconds."""

    first: float
    last: float
    waiting: list[Waiting] = field(default_factory=list)


@dataclass(slots=True)
class Ahead:
    """What may be worked at ahead, who is at it, and what came of it."""

    arrived: dict[str, Arrived] = field(default_factory=dict)
    received: float = 0.0
    active: dict[int, Plan] = field(default_factory=dict)
    yielding: Yielding = field(default_factory=Yielding)
    made: dict[Plan, dict[str, Outcome]] = field(default_factory=dict)
    swept: float = 0.0

    def offer(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take note of instances that were adopted just now."""
        now = time.monotonic()
        for row in rows:
            self.received = now
            if row["state"] == InstanceState.RECEIVED and row["conflict_with"] is None:
                one = self.arrived.setdefault(row["study"], Arrived(now, now))
                one.last = now
                one.waiting.append(Waiting(row["id"], row["bytes"], 0))

    def start(self, place: Workplace, pool: Pool) -> int:
        """Start jobs while there are free slots, and return how many; end what has to yield.

        Raises
        ------
        PoolBroken
            If a process could not be started; what the job had is made in its time.
        """
        self.yielding.end_late(place, pool, self.active)
        started = 0
        while pool.free and (next_ := self._next(place)) and self._start(place, pool, *next_):
            started += 1
        self._sweep(place)
        return started

    def note(self, place: Workplace, ended: Ended) -> bool:
        """Keep what a job answered; tell whether the surroundings failed."""
        plan = self.active.pop(ended.token)
        yielded, trouble = self.yielding.forget(ended.token), False
        with place.transaction() as transaction:
            row = forget_job(transaction, ended.token)
            made = self.made.setdefault(plan, {})  # the sweep finds its files by this
            if row is None:
                return False
            if not isinstance(ended.reply, Done):
                if yielded:
                    uncount_attempt(transaction, json.loads(row.instances))
                    transaction.log("job_yielded", job=row.id, study=row.study)
                else:
                    record_death(place, transaction, row, ended)
                return False
            for outcome in ended.reply.outcomes:
                if isinstance(outcome, Failed) and outcome.passing:
                    uncount_attempt(transaction, [outcome.instance])
                    trouble = True
                else:
                    made[outcome.instance] = outcome
            transaction.log("job_finished", job=row.id, study=row.study)
        return trouble

    def take(self, plan: Plan) -> Sequence[Outcome]:
        """Hand over what was made for a generation that begins."""
        self.arrived.pop(plan.study, None)
        return tuple(self.made.pop(plan, {}).values())

    def _next(self, place: Workplace) -> tuple[str, Chunk] | None:
        """Choose the next chunk: of the study that waits longest."""
        if sum(map(len, self.made.values())) >= MOST:
            return None
        options, now = place.config.process, time.monotonic()
        receiving = now - self.received < LULL_SECONDS
        if receiving and self.active:
            return None
        for study_id, one in self.arrived.items():
            if receiving and now - one.first < PATIENCE_SECONDS:
                continue
            if len(one.waiting) >= LEAST or now - one.last >= QUIET_SECONDS:
                spread = max(1, min(place.slots, len(one.waiting) // LEAST))
                chunks = cut(one.waiting, options.chunk_instances, options.max_attempts, spread)
                return study_id, chunks[0]
        return None

    def _start(self, place: Workplace, pool: Pool, study_id: str, chunk: Chunk) -> bool:
        with place.transaction() as transaction:
            if not fits(transaction, chunk.largest):
                return False
            self._remove(study_id, chunk)
            message = self._activate(place, transaction, study_id, chunk)
        if message is None:
            return False
        try:
            launch(place, pool, message, chunk.largest, spare_time=True)
        except PoolBroken:
            self.active.pop(message.job, None)
            with place.transaction() as transaction:
                forget_job(transaction, message.job)
                uncount_attempt(transaction, chunk.instances)
            raise
        return True

    def _activate(
        self, place: Workplace, transaction: Transaction, study_id: str, chunk: Chunk
    ) -> Deidentify | None:
        """Write the job's row, unless the study may not be worked at yet, or not any more."""
        conn = transaction.conn
        row = conn.execute(select(study).where(study.c.id == study_id)).one()
        untouched = select(instance.c.id).where(
            instance.c.id.in_(chunk.instances),
            instance.c.state == InstanceState.RECEIVED,
            instance.c.attempts == 0,
        )
        names = conn.execute(untouched.order_by(instance.c.id)).scalars().all()
        try:
            choice = choose(place, transaction, row)
        except CannotBegin:
            choice = None
        allowed = choice is not None and choice.consent is Consent.ALLOWED
        if row.state != StudyState.RECEIVING or not names or choice is None or not allowed:
            self.arrived.pop(study_id, None)
            return None
        plan = Plan(study_id, next_generation(place, transaction, study_id), choice.recipe_digest)
        new = insert(job).values(
            study=study_id, generation=AHEAD, state="QUEUED", instances=json.dumps(names),
            bytes=chunk.bytes, largest=chunk.largest,
        )  # fmt: skip
        job_row = conn.execute(new.returning(job)).one()
        self.active[job_row.id] = plan
        return activate(place, transaction, job_row, plan.number, choice.route.name)

    def _remove(self, study_id: str, chunk: Chunk) -> None:
        one, taken = self.arrived[study_id], set(chunk.instances)
        one.waiting = [each for each in one.waiting if each.instance not in taken]
        if not one.waiting:
            del self.arrived[study_id]

    def _sweep(self, place: Workplace) -> None:
        """Throw away what was made for a generation that did not come."""
        now = time.monotonic()
        if not self.made or now - self.swept < SWEEP_SECONDS:
            return
        self.swept = now
        query = select(study.c.id, study.c.state, study.c.generation).where(
            study.c.id.in_({plan.study for plan in self.made})
        )
        with place.index.connect() as conn:
            rows = {row.id: row for row in conn.execute(query)}
        for plan in [plan for plan in self.made if not _may_come(rows[plan.study])]:
            del self.made[plan]
            if rows[plan.study].generation != plan.number:
                folder = staging_folder(place.outbox, plan.study, plan.number)
                shutil.rmtree(folder, ignore_errors=True)


def _may_come(row: Any) -> bool:
    return row.state in (StudyState.RECEIVING, StudyState.COMPLETE)
