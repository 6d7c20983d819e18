"""Apply what people decided: file first, then row, then the file is marked."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import OperationalError

from node import observe
from node.inbox.decisions import (
    Decision,
    DecisionKind,
    DecisionUnreadable,
    mark,
    read_decision,
    waiting_decisions,
)
from node.inbox.index import AnyRow
from node.inbox.states import InstanceState, StudyState, move_study
from node.inbox.tables import decision as decision_table
from node.inbox.tables import finding, generation, instance, study
from node.process.keeping import keep_one
from node.process.refusal import Refused
from node.process.rejecting import reject
from node.process.release import is_out
from node.process.workplace import Transaction, Workplace
from node.validate import HOLDING

_HELD, _RECEIVING, _RELEASED = StudyState.HELD, StudyState.RECEIVING, StudyState.RELEASED

#: What a person may leave out: what is not out. In a released study that is what is in quarantine.
_EXCLUDABLE = (InstanceState.RECEIVED, InstanceState.DEIDENTIFIED, InstanceState.QUARANTINED)


def apply_decisions(place: Workplace) -> int:
    """Apply the decisions that wait, oldest first, and return how many there were."""
    paths = waiting_decisions(place.inbox)
    for path in paths:
        applied = _deal_with(place, path)
        mark(path, applied)
    return len(paths)


def _deal_with(place: Workplace, path: Path) -> bool:
    """Apply one decision and record it; what was recorded before a crash is only marked."""
    with place.transaction() as transaction:
        known = transaction.conn.execute(
            select(decision_table.c.applied).where(decision_table.c.id == path.stem)
        ).scalar()
        if known is not None:
            return bool(known)
    try:
        decision = read_decision(path)
    except DecisionUnreadable as error:
        with place.transaction() as transaction:
            transaction.log("decision_refused", decision=path.stem, reason=str(error))
        return False
    try:
        with place.transaction() as transaction:
            _apply(place, transaction, decision)
            _record(transaction, path.stem, decision, applied=True, message="")
    except Refused as refusal:
        with place.transaction() as transaction:
            _record(transaction, path.stem, decision, applied=False, message=str(refusal))
        return False
    except (OSError, OperationalError):
        raise  # the surroundings failed, not the decision: it waits
    except Exception as error:  # noqa: BLE001 -- one decision must not stop the node
        facts = observe.exception_facts(error)
        with place.transaction() as transaction:
            reason = f"unforeseen {facts['exception']}"
            transaction.log("role_failed", decision=path.stem, **facts)
            transaction.log("decision_refused", decision=path.stem, reason=reason)
        return False
    return True


def _apply(place: Workplace, transaction: Transaction, decision: Decision) -> None:
    row = transaction.conn.execute(select(study).where(study.c.id == decision.study)).one_or_none()
    if row is None:
        raise Refused("there is no such study")
    match decision.kind:
        case DecisionKind.COMPLETE:
            _require(row, _RECEIVING)
            _set(transaction, row, complete_now=True)
        case DecisionKind.REJECT:
            _require(row, _RECEIVING, StudyState.COMPLETE, StudyState.PROCESSING, _HELD)
            if row.state == StudyState.PROCESSING and is_out(place, row):
                raise Refused("it is out already, and only its row is missing: withdraw the study")
            why = f"rejected by {decision.who}"
            reject(transaction, row.id, StudyState(row.state), why)
        case DecisionKind.REQUEUE:
            _requeue(transaction, row, decision)
        case DecisionKind.EXCLUDE:
            _require(row, _HELD, _RELEASED)
            _exclude(transaction, row, decision)
            if row.state == _HELD:
                _go_on(transaction, row)
        case DecisionKind.RELEASE:
            _require(row, _HELD)
            _release(transaction, row, decision)
            _go_on(transaction, row)


def _release(transaction: Transaction, row: AnyRow, decision: Decision) -> None:
    if decision.keep is not None:
        keep_one(transaction, row, decision.keep)
    if decision.override:
        if not decision.why.strip():
            raise Refused("an override needs a reason")
        _set(transaction, row, override=decision.why.strip())
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


def _exclude(transaction: Transaction, row: AnyRow, decision: Decision) -> None:
    if decision.instance is not None:
        which = instance.c.id == decision.instance
    elif decision.series is not None:
        which = instance.c.series == decision.series
    else:
        raise Refused("say which series or instance to exclude")
    count = _leave_out(
        transaction, instance.c.study == row.id, which, reason=f"excluded by {decision.who}"
    )
    if not count:
        raise Refused("nothing of that can be excluded any more")


def _leave_out(transaction: Transaction, *which: Any, reason: str) -> int:
    left_out = transaction.conn.execute(
        update(instance)
        .where(
            *which,
            ~instance.c.released,
            instance.c.state.in_(_EXCLUDABLE),
        )
        .values(state=InstanceState.EXCLUDED, reason=reason, waits_for=None)
    )
    return left_out.rowcount


def _requeue(transaction: Transaction, row: AnyRow, decision: Decision) -> None:
    """Have a study made anew: its route, profile and every outcome that is not out yet."""
    if decision.all_generations:
        _require(row, _HELD, _RELEASED)
        gone = select(instance.c.id).where(instance.c.study == row.id, instance.c.purged)
        if transaction.conn.execute(gone.limit(1)).scalar():
            raise Refused("originals of it were purged: it cannot be made anew")
    else:
        _require(row, _HELD)
    unreleased = (
        transaction.conn.execute(
            select(generation.c.number).where(
                generation.c.study == row.id, generation.c.released_at.is_(None)
            )
        )
        .scalars()
        .all()
    )
    anew = [instance.c.study == row.id]
    if not decision.all_generations:
        anew.append(~instance.c.released)
    transaction.conn.execute(
        update(instance)
        .where(
            *anew,
            instance.c.state.in_(
                (
                    InstanceState.RECEIVED,
                    InstanceState.DEIDENTIFIED,
                    InstanceState.QUARANTINED,
                    InstanceState.EXCLUDED,
                )
            ),
        )
        .values(state=InstanceState.RECEIVED, released=False, waits_for=None, reason="", attempts=0)
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


def _go_on(transaction: Transaction, row: AnyRow) -> None:
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


def _require(row: AnyRow, *states: StudyState) -> None:
    if row.state not in states:
        raise Refused(f"the study is {row.state}, not {' or '.join(states)}")


def _set(transaction: Transaction, row: AnyRow, **values: Any) -> None:
    transaction.conn.execute(update(study).where(study.c.id == row.id).values(**values))


def _record(
    transaction: Transaction, decision_id: str, decision: Decision, *, applied: bool, message: str
) -> None:
    transaction.conn.execute(
        insert(decision_table).values(
            id=decision_id,
            kind=decision.kind,
            study=decision.study,
            who=decision.who,
            why=decision.why,
            decided_at=decision.when,
            content=json.dumps(asdict(decision), sort_keys=True),
            applied=applied,
            message=message,
            applied_at=transaction.wall,
        )
    )
    facts = {"decision": decision_id, "kind": str(decision.kind), "who": decision.who}
    known = transaction.conn.execute(
        select(study.c.id).where(study.c.id == decision.study)
    ).scalar()
    if not known:
        transaction.log("decision_refused", study=decision.study, reason=message, **facts)
    elif applied:
        transaction.tell("decision_applied", decision.study, **facts)
    else:
        transaction.tell("decision_refused", decision.study, reason=message, **facts)
