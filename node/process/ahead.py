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
import math
import shutil
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from node.inbox.states import InstanceState, StudyState
from node.inbox.tables import study
from node.pool import Ended, Pool, PoolBroken
from node.process.chunks import Chunk, Waiting, cut
from node.process.jobs import Run, activate, forget_run, launch, room_beside, uncount_attempt
from node.process.messages import Done, Failed, Outcome
from node.process.planning import Plan, plan_jobs
from node.process.recording import record_death, reply_of
from node.process.runs import Candidate, next_run
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
#: So many studies are asked for a job that may share a worker.
MOST_STUDIES = 128


@dataclass(slots=True)
class Arrived:
    """What has arrived of a study and is with no worker; first and last in monotonic seconds."""

    first: float
    last: float
    waiting: list[Waiting] = field(default_factory=list)


@dataclass(slots=True)
class Ahead:
    """What may be worked at ahead, who is at it, and what came of it.

    `active` are the plans by worker and job.
    """

    arrived: dict[str, Arrived] = field(default_factory=dict)
    received: float = 0.0
    active: dict[int, dict[int, Plan]] = field(default_factory=dict)
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
        """Start workers while there are free slots, and return how many; end what has to yield.

        Raises
        ------
        PoolBroken
            If a process could not be started; what the job had is made in its time.
        """
        self.yielding.end_late(place, pool, self.active.keys())
        started = 0
        while pool.free and (waiting := self._waiting(place)) and self._start(place, pool, waiting):
            started += 1
        self._sweep(place)
        return started

    def note(self, place: Workplace, ended: Ended) -> bool:
        """Keep what a worker answered; tell whether the surroundings failed."""
        plans = self.active.pop(ended.token)
        yielded = self.yielding.forget(ended.token)
        for plan in plans.values():
            self.made.setdefault(plan, {})  # the sweep finds its files by this
        trouble = False
        with place.transaction() as transaction:
            for row in forget_run(transaction, ended.token):
                if done := reply_of(ended, row.id):
                    trouble |= _keep(transaction, done, self.made[plans[row.id]])
                    transaction.log("job_finished", job=row.id, study=row.study)
                elif yielded:
                    uncount_attempt(transaction, json.loads(row.instances))
                    transaction.log("job_yielded", job=row.id, study=row.study)
                else:
                    record_death(place, transaction, row, ended)
        return trouble

    def take(self, plan: Plan) -> Sequence[Outcome]:
        """Hand over what was made for a generation that begins.

        It is kept until that is written: the next sweep forgets it, or it is asked for again.
        """
        self.arrived.pop(plan.study, None)
        self.swept = -math.inf  # due at once
        return tuple(self.made.get(plan, {}).values())

    def _waiting(self, place: Workplace) -> list[Candidate[tuple[str, Chunk]]]:
        """Give a chunk of each study that may be worked at; the study that waits longest first."""
        if sum(map(len, self.made.values())) >= MOST:
            return []
        now = time.monotonic()
        receiving = now - self.received < LULL_SECONDS
        if receiving and self.active:
            return []
        patience = PATIENCE_SECONDS if receiving else 0.0
        ready = [one for one in self.arrived.items() if now - one[1].first >= patience]
        if sum(len(one.waiting) for _, one in ready) < LEAST:
            ready = [one for one in ready if now - one[1].last >= QUIET_SECONDS]
        return [_candidate(place, *one) for one in ready[:MOST_STUDIES]]

    def _start(
        self, place: Workplace, pool: Pool, waiting: Sequence[Candidate[tuple[str, Chunk]]]
    ) -> bool:
        most = place.config.process.chunk_instances
        with place.transaction() as transaction:
            room = room_beside(transaction)
            chosen = next_run(waiting, pool.slots, pool.free, most, room)
            plans = plan_jobs(place, transaction, chosen)
            self._remove(chosen, {plan.study for plan in plans.values()})
            if not plans:
                return False
            run = Run(tuple(plans))
            messages = activate(place, transaction, run)
        self.active[run.number] = {given.job: plan for given, plan in plans.items()}
        try:
            launch(place, pool, run, messages, spare_time=True)
        except PoolBroken:
            del self.active[run.number]
            with place.transaction() as transaction:
                forget_run(transaction, run.number)
                uncount_attempt(transaction, run.instances)
            raise
        return True

    def _remove(self, chosen: Sequence[tuple[str, Chunk]], planned: Collection[str]) -> None:
        """Forget what is with a worker now, and studies that may not be worked at."""
        for study_id, chunk in chosen:
            one, taken = self.arrived[study_id], set(chunk.instances)
            one.waiting = [each for each in one.waiting if each.instance not in taken]
            if not one.waiting or study_id not in planned:
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


def _candidate(place: Workplace, study_id: str, one: Arrived) -> Candidate[tuple[str, Chunk]]:
    options = place.config.process
    spread = max(1, min(place.slots, len(one.waiting) // LEAST))
    chunk = cut(one.waiting, options.chunk_instances, options.max_attempts, spread)[0]
    return Candidate((study_id, chunk), len(chunk.instances), chunk.bytes, chunk.largest)


def _keep(transaction: Transaction, done: Done, made: dict[str, Outcome]) -> bool:
    """Keep the outcomes of a job; tell whether the surroundings failed."""
    trouble = False
    for outcome in done.outcomes:
        if isinstance(outcome, Failed) and outcome.passing:
            uncount_attempt(transaction, [outcome.instance])
            trouble = True
        else:
            made[outcome.instance] = outcome
    return trouble


def _may_come(row: Any) -> bool:
    return row.state in (StudyState.RECEIVING, StudyState.COMPLETE)
