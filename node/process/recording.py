"""What the workers answered becomes rows: one outcome per instance, or a death for the chunk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, assert_never

from pydantic import TypeAdapter
from sqlalchemy import delete, insert, select, update

from node import observe
from node.inbox.index import AnyRow
from node.inbox.states import InstanceState, move_instance, move_instances
from node.inbox.tables import finding, instance
from node.pool import Ended
from node.process.beginning import queue_jobs, waiting_instances
from node.process.jobs import forget_job
from node.process.messages import Done, Excluded, Failed, Held, Outcome, Quarantined, Ready, Variant
from node.process.workplace import Transaction, Workplace
from node.validate import Finding, InstanceFacts

#: Beyond `max_attempts` and the halving of its chunk: an instance that took the whole role down
#: with it so often is not tried again.
MOST_STARTS = 24
_FACTS = TypeAdapter(InstanceFacts)
_VARIANTS = TypeAdapter(tuple[Variant, ...])


def record(place: Workplace, ended: Ended) -> bool:
    """Write down how a job ended; tell whether the surroundings failed, so that waiting helps."""
    trouble = False
    with place.transaction() as transaction:
        row = forget_job(transaction, ended.token)
        if row is None:
            return False
        if isinstance(ended.reply, Done):
            trouble = record_outcomes(transaction, row, ended.reply.outcomes)
            transaction.log("job_finished", job=row.id, study=row.study)
        else:
            _record_death(place, transaction, row, ended)
        _queue_again(place, transaction, row)
    return trouble


def record_outcomes(transaction: Transaction, row: AnyRow, outcomes: Sequence[Outcome]) -> bool:
    """Record what became of instances of a study's generation, which `row` names.

    An instance that a person excluded or rejected meanwhile stays so. Tells whether the
    surroundings failed.
    """
    names = [outcome.instance for outcome in outcomes]
    query = select(instance.c.id).where(
        instance.c.id.in_(names), instance.c.state == InstanceState.RECEIVED
    )
    still = set(transaction.conn.execute(query).scalars())
    open_ = [outcome for outcome in outcomes if outcome.instance in still]
    _record_ready(transaction, row, [outcome for outcome in open_ if isinstance(outcome, Ready)])
    trouble = False
    for outcome in open_:
        if not isinstance(outcome, Ready):
            trouble |= _record_outcome(transaction, row, outcome)
    return trouble


def facts_of(row: AnyRow) -> InstanceFacts:
    """Read back what the validator saw of an instance's output."""
    return _FACTS.validate_json(row.facts)


def variants_of(row: AnyRow) -> tuple[Variant, ...]:
    """Read back in which other transfer syntaxes an instance lies beside its output."""
    return _VARIANTS.validate_json(row.variants) if row.variants else ()


def _record_ready(transaction: Transaction, row: AnyRow, done: Sequence[Ready]) -> None:
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
    _write_findings(transaction, row, {one.instance: one.verdict.findings for one in done})


def _record_outcome(
    transaction: Transaction, row: AnyRow, outcome: Excluded | Quarantined | Held | Failed
) -> bool:
    """Record one instance that is not ready; tell whether the surroundings failed."""
    match outcome:
        case Excluded(name, reason, findings):
            _finish(transaction, name, InstanceState.EXCLUDED, reason)
            _write_findings(transaction, row, {name: findings})
            transaction.tell("instance_excluded", row.study, instance=name, reason=reason)
        case Quarantined(name, reason):
            _quarantine(transaction, row, name, reason)
        case Held(name, reason):
            transaction.conn.execute(
                update(instance).where(instance.c.id == name).values(waits_for=reason)
            )
        case Failed():
            return _record_failure(transaction, row, outcome)
        case _:
            assert_never(outcome)
    return False


def _record_failure(transaction: Transaction, row: AnyRow, failed: Failed) -> bool:
    if failed.passing:
        transaction.conn.execute(
            update(instance)
            .where(instance.c.id == failed.instance)
            .values(attempts=instance.c.attempts - 1)
        )
        transaction.log("storage_failed", study=row.study, exception=failed.exception)
        return True
    reason = f"unforeseen {failed.exception}"
    _quarantine(transaction, row, failed.instance, reason, stack=failed.stack)
    return False


def _record_death(place: Workplace, transaction: Transaction, row: AnyRow, ended: Ended) -> None:
    """Let a dead worker's chunk wait again, unless it was one instance that has had its tries."""
    names: list[str] = json.loads(row.instances)
    facts = observe.exception_facts(ended.error) if ended.error else {}
    transaction.tell(
        "worker_died", row.study, job=row.id, instances=len(names), death=ended.death, **facts
    )
    if len(names) > 1:
        return
    attempts = transaction.conn.execute(
        select(instance.c.attempts).where(instance.c.id == names[0])
    ).scalar_one()
    if attempts >= place.config.process.max_attempts:
        reason = f"its worker did not survive it: {ended.death}"
        _quarantine(transaction, row, names[0], reason, **facts)


def _queue_again(place: Workplace, transaction: Transaction, row: AnyRow) -> None:
    """Queue what the job was given and has no outcome yet."""
    names = json.loads(row.instances)
    again = waiting_instances(
        transaction, instance.c.id.in_(names), instance.c.generation == row.generation
    )
    worn = [one for one in again if one.attempts > MOST_STARTS]
    for one in worn:
        _quarantine(transaction, row, one.instance, f"started {one.attempts} times in vain")
    queue_jobs(
        place, transaction, row.study, row.generation, [one for one in again if one not in worn]
    )


def _quarantine(
    transaction: Transaction, row: AnyRow, name: str, reason: str, **facts: Any
) -> None:
    _finish(transaction, name, InstanceState.QUARANTINED, reason)
    transaction.tell("instance_quarantined", row.study, instance=name, reason=reason, **facts)


def _finish(transaction: Transaction, name: str, state: InstanceState, reason: str) -> None:
    move_instance(transaction.conn, name, InstanceState.RECEIVED, state, reason=reason)


def _write_findings(
    transaction: Transaction, row: AnyRow, findings: Mapping[str, Iterable[Finding]]
) -> None:
    """Replace what was found about instances before."""
    transaction.conn.execute(
        delete(finding).where(finding.c.study == row.study, finding.c.instance.in_(findings))
    )
    rows = [
        {
            "study": row.study,
            "generation": row.generation,
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
        transaction.conn.execute(insert(finding), rows)
