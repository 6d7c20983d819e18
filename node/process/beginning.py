"""COMPLETE -> PROCESSING: a study's route is chosen, and its waiting instances become jobs."""

from __future__ import annotations

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from node import observe
from node.inbox.index import AnyRow
from node.inbox.states import InstanceState, StudyState, move_study
from node.inbox.tables import generation, instance, study
from node.process.ahead import Ahead
from node.process.choosing import CannotBegin, Choice, choose
from node.process.numbering import next_generation
from node.process.outcomes import Work, record_outcomes
from node.process.patients import Consent
from node.process.planning import Plan
from node.process.queueing import has_jobs, queue_jobs, waiting_instances
from node.process.rejecting import reject
from node.process.together import Postponed, Taken, take_together
from node.process.workplace import Transaction, Workplace

#: So many studies are with the workers at once; more wait as COMPLETE, so that rows stay few.
MOST_STUDIES = 256
#: So many begin in one transaction, so that no tick takes long.
AT_ONCE = 32

_BUSY = select(func.count()).where(study.c.state == StudyState.PROCESSING)
# One that a worker is ahead with waits for that: two must not write the same files.
_READY = (
    select(study)
    .where(study.c.state == StudyState.COMPLETE, ~has_jobs())
    .order_by(study.c.state_since)
    .limit(bindparam("most"))
)
_MINE = (
    instance.c.study == bindparam("study_id"),
    instance.c.state == InstanceState.RECEIVED,
)
_JOIN = update(instance).where(*_MINE).values(generation=bindparam("number"))
_OF_GENERATION = (
    instance.c.study == bindparam("study_id"),
    instance.c.generation == bindparam("number"),
)
_COUNT = (
    update(study)
    .where(study.c.id == bindparam("study_id"))
    .values(
        total=select(func.count()).where(*_OF_GENERATION).scalar_subquery(),
        done=select(func.count())
        .where(*_OF_GENERATION, instance.c.state != InstanceState.RECEIVED)
        .scalar_subquery(),
    )
)
_RECORDED = (
    "route", "profile", "profile_digest", "domain", "key_fingerprint", "recipe_digest", "begun_at",
)  # fmt: skip
_RECORD = upsert(generation)
_RECORD = _RECORD.on_conflict_do_update(
    index_elements=["study", "number"],
    set_={name: _RECORD.excluded[name] for name in _RECORDED},
)


def begin_generations(place: Workplace, ahead: Ahead, postponed: Postponed) -> Taken:
    """Take up the complete studies, oldest first; what goes wrong with one stops no other."""
    with place.index.connect() as conn:
        room = MOST_STUDIES - conn.execute(_BUSY).scalar_one()
        most = max(0, min(AT_ONCE, room))
        oldest = conn.execute(_READY, {"most": most + len(postponed)}).all()
    ready = postponed.leave_out(oldest)[:most]
    _, failed = take_together(
        place, ready, lambda tx, row: _begin(place, tx, row, ahead), _unforeseen
    )
    postponed.put(failed)
    return Taken(len(ready) - len(failed), len(failed))


def _unforeseen(transaction: Transaction, row: AnyRow, error: Exception) -> bool:
    """Hold a study that nobody can begin; it is not tried again."""
    facts = observe.exception_facts(error)
    transaction.tell("role_failed", row.id, **facts)
    _hold(transaction, row.id, f"unforeseen {facts['exception']}")
    return False


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
    this = {"study_id": row.id, "number": number}
    transaction.conn.execute(_JOIN, this)
    if row.generation:  # what a held generation had done already counts as its own
        transaction.conn.execute(_COUNT, this)
    if made := ahead.take(Plan(row.id, number, choice.recipe_digest)):
        record_outcomes(transaction, Work(row.id, number), made)
    waiting = waiting_instances(transaction, row.id, number)
    queue_jobs(place, transaction, row.id, number, waiting)


def _record_generation(
    place: Workplace, transaction: Transaction, study_id: str, number: int, choice: Choice
) -> None:
    profile = place.recipes[choice.route.name].profile
    values = (
        choice.route.name, profile.name, profile.digest, profile.domain, place.key_fingerprint,
        choice.recipe_digest, transaction.wall,
    )  # fmt: skip
    row = dict(zip(_RECORDED, values, strict=True))
    transaction.conn.execute(_RECORD, {"study": study_id, "number": number, **row})


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
