"""What becomes of a generation whose instances all have an outcome: released, held, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import OperationalError

from node import observe
from node.inbox.index import AnyRow
from node.inbox.states import InstanceState, StudyState, move_instance, move_study
from node.inbox.tables import finding, generation, instance, job, study
from node.process.beginning import last_released, queue_jobs, waiting_instances
from node.process.outdated import make_anew_if_outdated
from node.process.recording import facts_of, variants_of
from node.process.release import Chain, is_out, publish, record_release, reopen_for_late_instances
from node.process.staging import staged_files, staging_folder
from node.process.versions import other_versions, out_otherwise
from node.process.workplace import Transaction, Workplace, log
from node.validate import HOLDING, Finding, Generation, check_study


@dataclass(frozen=True, slots=True)
class Closed:
    """How many generations were dealt with, and how many the surroundings did not let be."""

    done: int
    failed: int


def close_generations(place: Workplace, chain: Chain) -> Closed:
    """Deal with every generation that is done; one that fails stops no other."""
    query = select(study).where(
        study.c.state == StudyState.PROCESSING, study.c.done >= study.c.total
    )
    with place.index.connect() as conn:
        done = conn.execute(query.where(~_has_jobs())).all()
    outcomes = [_close_safely(place, chain, row) for row in done]
    return Closed(outcomes.count(True), outcomes.count(False))


def _has_jobs() -> Any:
    return select(job.c.id).where(job.c.study == study.c.id).exists()


def _close_safely(place: Workplace, chain: Chain, row: AnyRow) -> bool:
    """Close one generation; what goes wrong with it stops no other study."""
    try:
        _close(place, chain, row)
    except (OSError, OperationalError) as error:  # a full disk, say: it is tried again
        log.error("storage_failed", study=row.id, **observe.exception_facts(error))
        return False
    except Exception as error:  # noqa: BLE001 -- a person must see what nobody foresaw
        facts = observe.exception_facts(error)
        if is_out(place, row):  # only its row is missing, and nobody can decide about it any more
            log.error("role_failed", study=row.id, **facts)
            return False
        with place.transaction() as transaction:
            transaction.tell("role_failed", row.id, **facts)
            _hold(transaction, row, f"unforeseen {facts['exception']}")
    return True


def _close(place: Workplace, chain: Chain, row: AnyRow) -> None:
    if is_out(place, row) or _publish_if_sound(place, chain, row):
        with place.transaction() as transaction:
            record_release(place, transaction, row)


def _publish_if_sound(place: Workplace, chain: Chain, row: AnyRow) -> bool:
    """Release a generation that nothing speaks against; tell whether it is out now."""
    with place.transaction() as transaction:
        if make_anew_if_outdated(place, transaction, row):
            return False
        _drop_equal_outputs(transaction, row)
        members = _members(transaction, row)
        if _make_lost_files_anew(place, transaction, row, members):
            return False
        if reason := _why_held(place, transaction, row, members):
            _hold(transaction, row, reason)
            return False
        if not members:
            _nothing_new(transaction, row)
            return False
    publish(place, chain, row, members)
    return True


def _members(transaction: Transaction, row: AnyRow) -> Sequence[AnyRow]:
    query = select(instance).where(
        instance.c.study == row.id,
        instance.c.generation == row.generation,
        instance.c.state == InstanceState.DEIDENTIFIED,
    )
    return transaction.conn.execute(query.order_by(instance.c.id)).all()


def _drop_equal_outputs(transaction: Transaction, row: AnyRow) -> None:
    """Two instances of one SOP Instance UID and other bytes, yet of one output: a duplicate."""
    first = instance.alias()
    query = (
        select(instance.c.id, first.c.id)
        .join(first, first.c.id == instance.c.conflict_with)
        .where(
            instance.c.study == row.id,
            instance.c.generation == row.generation,
            instance.c.state == InstanceState.DEIDENTIFIED,
            first.c.state == InstanceState.DEIDENTIFIED,
            first.c.output_sha256 == instance.c.output_sha256,
        )
    )
    for later, earlier in transaction.conn.execute(query).all():
        move_instance(
            transaction.conn,
            later,
            InstanceState.DEIDENTIFIED,
            InstanceState.DUPLICATE,
            reason=f"de-identified, the same as {earlier}",
        )
        transaction.tell("instance_duplicate", row.id, instance=later)


def _make_lost_files_anew(
    place: Workplace, transaction: Transaction, row: AnyRow, members: Sequence[AnyRow]
) -> bool:
    """Take an outcome back whose file is not there: rows never outweigh files."""
    folder = staging_folder(place.outbox, row.id, row.generation)
    lost = [one.id for one in members if not _is_staged(folder, one)]
    for name in lost:
        move_instance(transaction.conn, name, InstanceState.DEIDENTIFIED, InstanceState.RECEIVED)
    if lost:
        again = waiting_instances(transaction, instance.c.id.in_(lost))
        queue_jobs(place, transaction, row.id, row.generation, again)
    return bool(lost)


def _is_staged(folder: Path, one: AnyRow) -> bool:
    """Tell whether every file of an instance is there, under its first name or its last."""
    syntaxes = [variant.syntax for variant in variants_of(one)]
    names = (one.id, one.output_sop_instance_uid)
    files = zip(*(staged_files(folder, name, syntaxes) for name in names), strict=True)
    return all(made.exists() or final.exists() for made, final in files)


def _why_held(
    place: Workplace, transaction: Transaction, row: AnyRow, members: Sequence[AnyRow]
) -> str:
    """Say why a person must look; empty if nobody need."""
    waiting = transaction.conn.execute(
        select(instance.c.waits_for).where(
            instance.c.study == row.id,
            instance.c.generation == row.generation,
            instance.c.waits_for.is_not(None),
        )
    ).scalars()
    reasons = list(dict.fromkeys(waiting))
    if any(one.conflict_with for one in members):
        reasons.append(
            "instances share a SOP Instance UID and differ: keep the first or the latest"
        )
    out = out_otherwise(place, row, members)
    reasons += other_versions(place, transaction, row, members, out)
    _write_study_findings(transaction, row, _study_findings(transaction, row, members, out))
    if not row.override:
        reasons += _findings_that_hold(transaction, row)
    if not members and not reasons and not last_released(transaction.conn, row.id):
        reasons.append("every instance was excluded or quarantined: nothing is left to release")
    return "; ".join(reasons)


def _study_findings(
    transaction: Transaction, row: AnyRow, members: Sequence[AnyRow], out: set[str]
) -> tuple[Finding, ...]:
    if not members:
        return ()
    released = transaction.conn.execute(
        select(instance.c.output_sop_instance_uid).where(
            instance.c.study == row.id,
            instance.c.generation != row.generation,
            instance.c.released,
        )
    ).scalars()
    facts = [facts_of(one) for one in members]
    this = _generation(transaction, row.id, row.generation)
    return check_study(
        facts,
        set(released),
        replace(
            this, patient_id=facts[0].patient_id, study_instance_uid=facts[0].study_instance_uid
        ),
        _generation_before(transaction, row),
        out,
    )


def _generation(transaction: Transaction, study_id: str, number: int) -> Generation:
    columns = generation.c
    query = select(
        columns.patient_id, columns.study_instance_uid, columns.profile_digest,
        columns.key_fingerprint, columns.domain,
    ).where(columns.study == study_id, columns.number == number)  # fmt: skip
    return Generation(*transaction.conn.execute(query).one())


def _generation_before(transaction: Transaction, row: AnyRow) -> Generation | None:
    """Give what went out last; None for the first, and where all of it is made anew."""
    number = last_released(transaction.conn, row.id)
    if not number or row.all_generations:
        return None
    return _generation(transaction, row.id, number)


def _write_study_findings(
    transaction: Transaction, row: AnyRow, findings: tuple[Finding, ...]
) -> None:
    """Replace the findings about the study as a whole by these."""
    transaction.conn.execute(
        delete(finding).where(
            finding.c.study == row.id,
            finding.c.generation == row.generation,
            finding.c.instance.is_(None),
        )
    )
    for one in findings:
        transaction.conn.execute(
            insert(finding).values(
                study=row.id,
                generation=row.generation,
                instance=None,
                check=one.check,
                severity=one.severity,
                path=one.path,
                explanation=one.explanation,
            )
        )


def _findings_that_hold(transaction: Transaction, row: AnyRow) -> list[str]:
    """Give the kinds of findings that hold, of instances that would go out and of the study."""
    columns = finding.c
    query = (
        select(columns.severity, columns.check)
        .outerjoin(instance, instance.c.id == columns.instance)
        .where(
            columns.study == row.id,
            columns.generation == row.generation,
            columns.severity.in_(HOLDING),
            columns.instance.is_(None) | (instance.c.state == InstanceState.DEIDENTIFIED),
        )
        .distinct()
    )
    return [f"{severity}: {check}" for severity, check in transaction.conn.execute(query)]


def _nothing_new(transaction: Transaction, row: AnyRow) -> None:
    """Take a later generation back of which nothing is left: what is out stands."""
    transaction.conn.execute(
        delete(generation).where(
            generation.c.study == row.id, generation.c.number == row.generation
        )
    )
    transaction.conn.execute(
        update(instance)
        .where(instance.c.study == row.id, instance.c.generation == row.generation)
        .values(generation=None)
    )
    move_study(
        transaction.conn,
        row.id,
        StudyState.PROCESSING,
        StudyState.RELEASED,
        transaction.now,
        generation=last_released(transaction.conn, row.id),
        reason="",
        override="",
        all_generations=False,
    )
    reopen_for_late_instances(transaction, row)


def _hold(transaction: Transaction, row: AnyRow, reason: str) -> None:
    move_study(
        transaction.conn,
        row.id,
        StudyState.PROCESSING,
        StudyState.HELD,
        transaction.now,
        reason=reason,
    )
    transaction.tell("study_held", row.id, generation=row.generation, reason=reason)
