"""Why is a generation held? Its findings, those of the study as a whole, and what waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import delete, insert, select

from node.inbox.index import AnyRow
from node.inbox.states import InstanceState
from node.inbox.tables import finding, generation, instance
from node.process.choosing import why_not_now
from node.process.numbering import last_released
from node.process.outcomes import facts_of
from node.process.pseudonyms import ANOTHERS, claim
from node.process.versions import other_versions, out_otherwise
from node.process.workplace import Transaction, Workplace
from node.validate import HOLDING, Finding, Generation, check_study


def why_held(
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
    if members and (against := why_not_now(place, transaction, row)):
        reasons.append(against)
    if not row.override:
        reasons += _findings_that_hold(transaction, row)
    if members and not reasons:
        given = place.recipes[row.route].profile.lookup is not None
        if not claim(transaction, row, facts_of(members[0]), given=given):
            reasons.append(ANOTHERS)
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
