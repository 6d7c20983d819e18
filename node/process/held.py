"""What a person's decision does to a study: release it, leave something out, make it anew."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select, update

from node.inbox.decisions import Decision
from node.inbox.index import AnyRow
from node.inbox.states import InstanceState, StudyState, move_study
from node.inbox.tables import finding, generation, instance, study
from node.process.keeping import keep_one
from node.process.refusal import Refused
from node.process.workplace import Transaction
from node.validate import HOLDING

_HELD, _RELEASED = StudyState.HELD, StudyState.RELEASED

#: What a person may leave out: what is not out. In a released study that is what is in quarantine.
_EXCLUDABLE = (InstanceState.RECEIVED, InstanceState.DEIDENTIFIED, InstanceState.QUARANTINED)
#: What a `requeue` takes back; what a person excluded only if that is asked for.
_MADE_ANEW = (*_EXCLUDABLE, InstanceState.EXCLUDED)


def release(transaction: Transaction, row: AnyRow, decision: Decision) -> None:
    """Let a held study go; Refused while something still speaks against it."""
    if decision.keep is not None:
        keep_one(transaction, row, decision.keep, decision.who)
    if decision.override:
        if not decision.why.strip():
            raise Refused("an override needs a reason")
        transaction.conn.execute(
            update(study).where(study.c.id == row.id).values(override=decision.why.strip())
        )
    elif _has_holding_findings(transaction, row, of_study=decision.keep is None):
        raise Refused("findings hold the study: exclude what they are about, or override them")
    mine = _of_generation(row)
    waits = select(instance.c.waits_for).where(*mine, instance.c.waits_for.is_not(None))
    if reason := transaction.conn.execute(waits.limit(1)).scalar():
        raise Refused(f"instances could not be de-identified ({reason}): exclude or requeue them")
    if not _is_done(transaction, row):
        raise Refused("the study was held before it was de-identified: requeue it")
    conflict = select(instance.c.id).where(
        *mine, instance.c.conflict_with.is_not(None), instance.c.state == InstanceState.DEIDENTIFIED
    )
    if transaction.conn.execute(conflict.limit(1)).scalar():
        raise Refused("instances are in conflict: say which to keep, the first or the latest")


def exclude(transaction: Transaction, row: AnyRow, decision: Decision) -> None:
    """Leave a series or an instance out; it stays out, also when the study is made anew."""
    if decision.instance is not None:
        which = instance.c.id == decision.instance
    elif decision.series is not None:
        which = instance.c.series == decision.series
    else:
        raise Refused("say which series or instance to exclude")
    left_out = transaction.conn.execute(
        update(instance)
        .where(
            instance.c.study == row.id,
            which,
            ~instance.c.released,
            instance.c.state.in_(_EXCLUDABLE),
        )
        .values(
            state=InstanceState.EXCLUDED,
            reason=f"excluded by {decision.who}",
            excluded_by=decision.who,
            waits_for=None,
        )
    )
    if not left_out.rowcount:
        raise Refused("nothing of that can be excluded any more")


def requeue(transaction: Transaction, row: AnyRow, decision: Decision) -> None:
    """Have a study made anew: its route, profile and every outcome that is not out yet."""
    if decision.all_generations:
        require(row, _HELD, _RELEASED)
        gone = select(instance.c.id).where(instance.c.study == row.id, instance.c.purged)
        if transaction.conn.execute(gone.limit(1)).scalar():
            raise Refused("originals of it were purged: it cannot be made anew")
    else:
        require(row, _HELD)
    _take_back_outcomes(transaction, row, decision)
    unreleased = select(generation.c.number).where(
        generation.c.study == row.id, generation.c.released_at.is_(None)
    )
    transaction.conn.execute(
        delete(finding).where(finding.c.study == row.id, finding.c.generation.in_(unreleased))
    )
    move_study(
        transaction.conn,
        row.id,
        StudyState(row.state),
        StudyState.COMPLETE,
        transaction.now,
        reason="",
        route="",
        override="",
        # Where no instance is known to be out, all of it is made anew anyhow (a rebuilt index).
        all_generations=decision.all_generations or not row.released,
    )
    transaction.tell("study_requeued", row.id, who=decision.who)


def _take_back_outcomes(transaction: Transaction, row: AnyRow, decision: Decision) -> None:
    which = [instance.c.study == row.id, instance.c.state.in_(_MADE_ANEW)]
    if not decision.all_generations:
        which.append(~instance.c.released)
    if not decision.with_excluded:
        which.append(instance.c.excluded_by == "")
    transaction.conn.execute(
        update(instance)
        .where(*which)
        .values(
            state=InstanceState.RECEIVED,
            released=False,
            waits_for=None,
            reason="",
            excluded_by="",
            attempts=0,
        )
    )


def go_on(transaction: Transaction, row: AnyRow) -> None:
    """Let a held study go on: to its release if it was de-identified, else to its beginning."""
    fresh = transaction.conn.execute(select(study).where(study.c.id == row.id)).one()
    target = StudyState.PROCESSING if _is_done(transaction, fresh) else StudyState.COMPLETE
    move_study(transaction.conn, row.id, _HELD, target, transaction.now, reason="")


def _is_done(transaction: Transaction, row: AnyRow) -> bool:
    """Tell whether the study's generation was de-identified and is not out yet."""
    query = select(generation.c.released_at).where(
        generation.c.study == row.id, generation.c.number == row.generation
    )
    out = transaction.conn.execute(query).scalar() is not None
    return row.total > 0 and row.done >= row.total and not out


def _has_holding_findings(transaction: Transaction, row: AnyRow, *, of_study: bool) -> bool:
    """Tell whether findings hold the study; those of the study as a whole are found anew anyhow."""
    about = instance.c.state == InstanceState.DEIDENTIFIED
    query = (
        select(finding.c.id)
        .outerjoin(instance, instance.c.id == finding.c.instance)
        .where(
            finding.c.study == row.id,
            finding.c.generation == row.generation,
            finding.c.severity.in_(HOLDING),
            (finding.c.instance.is_(None) | about) if of_study else about,
        )
    )
    return transaction.conn.execute(query.limit(1)).scalar() is not None


def _of_generation(row: AnyRow) -> tuple[Any, Any]:
    return instance.c.study == row.id, instance.c.generation == row.generation


def require(row: AnyRow, *states: StudyState) -> None:
    """Refuse the decision unless the study is in one of these states."""
    if row.state not in states:
        raise Refused(f"the study is {row.state}, not {' or '.join(states)}")
