"""Apply what people decided: file first, then row, then the file is marked."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import insert, select, update
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
from node.inbox.states import StudyState
from node.inbox.tables import decision as decision_table
from node.inbox.tables import study
from node.process.held import exclude, go_on, release, requeue, require
from node.process.refusal import Refused
from node.process.rejecting import reject
from node.process.release import is_out
from node.process.workplace import Transaction, Workplace

_HELD, _RECEIVING, _RELEASED = StudyState.HELD, StudyState.RECEIVING, StudyState.RELEASED


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
            require(row, _RECEIVING)
            now = update(study).where(study.c.id == row.id).values(complete_now=True)
            transaction.conn.execute(now)
        case DecisionKind.REJECT:
            require(row, _RECEIVING, StudyState.COMPLETE, StudyState.PROCESSING, _HELD)
            if row.state == StudyState.PROCESSING and is_out(place, row):
                raise Refused("it is out already, and only its row is missing: withdraw the study")
            why = f"rejected by {decision.who}"
            reject(transaction, row.id, StudyState(row.state), why)
        case DecisionKind.REQUEUE:
            requeue(transaction, row, decision)
        case DecisionKind.EXCLUDE:
            require(row, _HELD, _RELEASED)
            exclude(transaction, row, decision)
            if row.state == _HELD:
                go_on(transaction, row)
        case DecisionKind.RELEASE:
            require(row, _HELD)
            release(transaction, row, decision)
            go_on(transaction, row)


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
