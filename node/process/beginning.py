"""COMPLETE -> PROCESSING: a study's route is chosen, and its waiting instances become jobs."""

from __future__ import annotations

from sqlalchemy import func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from node import observe
from node.inbox.index import AnyRow
from node.inbox.states import InstanceState, StudyState, move_study
from node.inbox.tables import generation, instance, study
from node.process.ahead import Ahead, Plan
from node.process.choosing import CannotBegin, Choice, choose
from node.process.numbering import next_generation
from node.process.outcomes import Work, record_outcomes
from node.process.patients import Consent
from node.process.queueing import has_jobs, queue_jobs, waiting_instances
from node.process.rejecting import reject
from node.process.workplace import Transaction, Workplace

#: So many studies are with the workers at once; more wait as COMPLETE, so that rows stay few.
MOST_STUDIES = 256


def begin_generations(place: Workplace, ahead: Ahead) -> int:
    """Take up the complete studies, oldest first, and return how many moved on.

    One that a worker is ahead with waits for that: two must not write the same files.
    """
    with place.index.connect() as conn:
        busy = conn.execute(
            select(func.count()).where(study.c.state == StudyState.PROCESSING)
        ).scalar_one()
        ready = conn.execute(
            select(study)
            .where(study.c.state == StudyState.COMPLETE, ~has_jobs())
            .order_by(study.c.state_since)
            .limit(max(0, MOST_STUDIES - busy))
        ).all()
    for row in ready:
        try:
            with place.transaction() as transaction:
                _begin(place, transaction, row, ahead)
        except Exception as error:  # noqa: BLE001 -- one study must not stop the others
            facts = observe.exception_facts(error)
            with place.transaction() as transaction:
                transaction.tell("role_failed", row.id, **facts)
                _hold(transaction, row.id, f"unforeseen {facts['exception']}")
    return len(ready)


def _begin(place: Workplace, transaction: Transaction, row: AnyRow, ahead: Ahead) -> None:
    try:
        choice = choose(place, transaction, row)
    except CannotBegin as reason:
        _hold(transaction, row.id, str(reason))
        return
    if choice.consent is Consent.DENIED:
        reject(transaction, row.id, StudyState.COMPLETE, "the patient is on the deny list")
    elif choice.consent is Consent.NOT_ALLOWED:
        _hold(transaction, row.id, "the patient is not on the allow list")
    else:
        _start(place, transaction, row, choice, ahead)


def _start(
    place: Workplace, transaction: Transaction, row: AnyRow, choice: Choice, ahead: Ahead
) -> None:
    number = next_generation(place, transaction, row.id)
    move_study(
        transaction.conn,
        row.id,
        StudyState.COMPLETE,
        StudyState.PROCESSING,
        transaction.now,
        route=choice.route.name,
        reason="",
        generation=number,
        total=0,
        done=0,
    )
    _record_generation(place, transaction, row.id, number, choice)
    mine = (instance.c.study == row.id, instance.c.state == InstanceState.RECEIVED)
    transaction.conn.execute(update(instance).where(*mine).values(generation=number))
    # The instances that a held generation had done already count as its own.
    transaction.conn.execute(
        update(study)
        .where(study.c.id == row.id)
        .values(
            total=select(func.count())
            .where(instance.c.study == row.id, instance.c.generation == number)
            .scalar_subquery(),
            done=select(func.count())
            .where(
                instance.c.study == row.id,
                instance.c.generation == number,
                instance.c.state != InstanceState.RECEIVED,
            )
            .scalar_subquery(),
        )
    )
    done = ahead.take(Plan(row.id, number, choice.recipe_digest))
    record_outcomes(transaction, Work(row.id, number), done)
    queue_jobs(place, transaction, row.id, number, waiting_instances(transaction, *mine))


def _record_generation(
    place: Workplace, transaction: Transaction, study_id: str, number: int, choice: Choice
) -> None:
    profile = place.recipes[choice.route.name].profile
    values = {
        "route": choice.route.name,
        "profile": profile.name,
        "profile_digest": profile.digest,
        "domain": profile.domain,
        "key_fingerprint": place.key_fingerprint,
        "recipe_digest": choice.recipe_digest,
        "begun_at": transaction.wall,
    }
    row = upsert(generation).values(study=study_id, number=number, **values)
    transaction.conn.execute(
        row.on_conflict_do_update(index_elements=["study", "number"], set_=values)
    )


def _hold(transaction: Transaction, study_id: str, reason: str) -> None:
    move_study(
        transaction.conn,
        study_id,
        StudyState.COMPLETE,
        StudyState.HELD,
        transaction.now,
        reason=reason,
    )
    transaction.tell("study_held", study_id, reason=reason)
