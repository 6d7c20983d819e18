"""The outcome of an instance: as the worker answered it, into its row, and back from there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from pydantic import TypeAdapter
from sqlalchemy import BindParameter, bindparam, delete, insert, select, update

from node.inbox.index import AnyRow
from node.inbox.states import InstanceState, move_instance, move_instances
from node.inbox.tables import finding, instance
from node.process.jobs import uncount_attempt
from node.process.messages import (
    Duplicate,
    Excluded,
    Failed,
    Held,
    Outcome,
    Quarantined,
    Ready,
    Variant,
)
from node.process.workplace import Transaction
from node.validate import Finding, InstanceFacts

_NAMES: BindParameter[str] = bindparam("names", expanding=True)
_OPEN = select(instance.c.id).where(
    instance.c.id.in_(_NAMES), instance.c.state == InstanceState.RECEIVED
)
#: No parameter may have the name of a column, or SQLAlchemy sets that as well.
_WAIT = (
    update(instance).where(instance.c.id == bindparam("name")).values(waits_for=bindparam("why"))
)
_FORGET_FINDINGS = delete(finding).where(
    finding.c.study == bindparam("of_study"), finding.c.instance.in_(_NAMES)
)
_WRITE_FINDINGS = insert(finding)
_FACTS = TypeAdapter(InstanceFacts)
_VARIANTS = TypeAdapter(tuple[Variant, ...])


@dataclass(frozen=True, slots=True)
class Work:
    """A generation of a study, whose instances have come to outcomes."""

    study: str
    generation: int


def record_outcomes(transaction: Transaction, work: Work, outcomes: Sequence[Outcome]) -> bool:
    """Record what became of instances of a study's generation, which `work` names.

    An instance that a person excluded or rejected meanwhile stays so. Tells whether the
    surroundings failed.
    """
    names = [outcome.instance for outcome in outcomes]
    still = set(transaction.conn.execute(_OPEN, {"names": names}).scalars())
    open_ = [outcome for outcome in outcomes if outcome.instance in still]
    _record_ready(transaction, work, [outcome for outcome in open_ if isinstance(outcome, Ready)])
    trouble = False
    for outcome in open_:
        if not isinstance(outcome, Ready):
            trouble |= _record_outcome(transaction, work, outcome)
    return trouble


def facts_of(row: AnyRow) -> InstanceFacts:
    """Read back what the validator saw of an instance's output."""
    return _FACTS.validate_json(row.facts)


def variants_of(row: AnyRow) -> tuple[Variant, ...]:
    """Read back in which other transfer syntaxes an instance lies beside its output."""
    return _VARIANTS.validate_json(row.variants) if row.variants else ()


def _record_ready(transaction: Transaction, work: Work, done: Sequence[Ready]) -> None:
    changes = {
        one.instance: {
            "reason": "",
            "source_digest": one.source_digest,
            "output_sop_instance_uid": one.deidentified.sop_instance_uid,
            "output_sha256": one.verdict.sha256,
            "output_bytes": one.verdict.bytes,
            "facts": _FACTS.dump_json(one.verdict.facts).decode(),
            "variants": _VARIANTS.dump_json(one.variants).decode() if one.variants else "",
        }
        for one in done
    }
    move_instances(transaction.conn, InstanceState.RECEIVED, InstanceState.DEIDENTIFIED, changes)
    _write_findings(transaction, work, {one.instance: one.verdict.findings for one in done})


def _record_outcome(
    transaction: Transaction,
    work: Work,
    outcome: Excluded | Duplicate | Quarantined | Held | Failed,
) -> bool:
    """Record one instance that is not ready; tell whether the surroundings failed."""
    match outcome:
        case Excluded(name, reason, findings):
            _finish(transaction, name, InstanceState.EXCLUDED, reason)
            _write_findings(transaction, work, {name: findings})
            transaction.tell("instance_excluded", work.study, instance=name, reason=reason)
        case Duplicate(name, reason):
            _finish(transaction, name, InstanceState.DUPLICATE, reason)
            transaction.tell("instance_duplicate", work.study, instance=name)
        case Quarantined(name, reason):
            quarantine(transaction, work, name, reason)
        case Held(name, reason):
            transaction.conn.execute(_WAIT, {"name": name, "why": reason})
        case Failed():
            return _record_failure(transaction, work, outcome)
        case _:
            assert_never(outcome)
    return False


def _record_failure(transaction: Transaction, work: Work, failed: Failed) -> bool:
    if failed.passing:
        uncount_attempt(transaction, [failed.instance])
        transaction.log("storage_failed", study=work.study, exception=failed.exception)
        return True
    reason = f"unforeseen {failed.exception}"
    quarantine(transaction, work, failed.instance, reason, stack=failed.stack)
    return False


def quarantine(transaction: Transaction, work: Work, name: str, reason: str, **facts: Any) -> None:
    """Record that an instance cannot be treated."""
    _finish(transaction, name, InstanceState.QUARANTINED, reason)
    transaction.tell("instance_quarantined", work.study, instance=name, reason=reason, **facts)


def _finish(transaction: Transaction, name: str, state: InstanceState, reason: str) -> None:
    move_instance(transaction.conn, name, InstanceState.RECEIVED, state, reason=reason)


def _write_findings(
    transaction: Transaction, work: Work, findings: Mapping[str, Iterable[Finding]]
) -> None:
    """Replace what was found about instances before."""
    if not findings:
        return
    which = {"of_study": work.study, "names": tuple(findings)}
    transaction.conn.execute(_FORGET_FINDINGS, which)
    rows = [
        {
            "study": work.study,
            "generation": work.generation,
            "instance": name,
            "check": one.check,
            "severity": one.severity,
            "path": one.path,
            "explanation": one.explanation,
        }
        for name, found in findings.items()
        for one in found
    ]
    if rows:
        transaction.conn.execute(_WRITE_FINDINGS, rows)
