"""Why is a generation held? Its findings, those of the study as a whole, and what waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import bindparam, delete, insert, select

from node.inbox.index import AnyRow
from node.inbox.tables import finding, instance
from node.process.choosing import why_not_now
from node.process.finished import GENERATION, Finished
from node.process.numbering import last_released
from node.process.pseudonyms import ANOTHERS, claim
from node.process.versions import other_versions, out_otherwise
from node.process.workplace import Transaction, Workplace
from node.validate import HOLDING, Finding, Generation, check_study

_RELEASED_UIDS = select(instance.c.output_sop_instance_uid).where(
    instance.c.study == bindparam("study_id"),
    instance.c.generation != bindparam("number"),
    instance.c.released,
)
_FINDINGS = (
    select(finding.c.instance, finding.c.severity, finding.c.check)
    .where(finding.c.study == bindparam("study_id"), finding.c.generation == bindparam("number"))
    .order_by(finding.c.id)
)
_FORGET = delete(finding).where(
    finding.c.study == bindparam("study_id"),
    finding.c.generation == bindparam("number"),
    finding.c.instance.is_(None),
)
_WRITE = insert(finding)


def why_held(place: Workplace, transaction: Transaction, this: Finished) -> str:
    """Say why a person must look; empty if nobody need."""
    row, members = this.study, this.members
    reasons = list(dict.fromkeys(one.waits_for for one in this.left if one.waits_for is not None))
    if any(one.conflict_with for one in members):
        reasons.append(
            "instances share a SOP Instance UID and differ: keep the first or the latest"
        )
    out = out_otherwise(place, row, members)
    reasons += other_versions(place, transaction, row, members, out)
    kinds = _write_findings(transaction, this, _study_findings(transaction, this, out))
    if members and (against := why_not_now(place, row, this.left)):
        reasons.append(against)
    if not row.override:
        reasons += kinds
    if members and not reasons:
        given = place.recipes[row.route].profile.lookup is not None
        if not claim(transaction, this, given=given):
            reasons.append(ANOTHERS)
    if not members and not reasons and not last_released(transaction.conn, row.id):
        reasons.append("every instance was excluded or quarantined: nothing is left to release")
    return "; ".join(reasons)


def _study_findings(transaction: Transaction, this: Finished, out: set[str]) -> tuple[Finding, ...]:
    row, facts = this.study, this.facts
    if not facts:
        return ()
    released: set[str] = set()
    if row.released:
        which = {"study_id": row.id, "number": row.generation}
        released.update(transaction.conn.execute(_RELEASED_UIDS, which).scalars())
    own = replace(
        _generation(this.generation),
        patient_id=facts[0].patient_id,
        study_instance_uid=facts[0].study_instance_uid,
    )
    return check_study(facts, released, own, _generation_before(transaction, row), out)


def _generation(row: AnyRow) -> Generation:
    return Generation(
        row.patient_id, row.study_instance_uid, row.profile_digest, row.key_fingerprint, row.domain
    )


def _generation_before(transaction: Transaction, row: AnyRow) -> Generation | None:
    """Give what went out last; None for the first, and where all of it is made anew."""
    if row.generation == 1 or row.all_generations:
        return None
    number = last_released(transaction.conn, row.id)
    if not number:
        return None
    which = {"study_id": row.id, "number": number}
    return _generation(transaction.conn.execute(GENERATION, which).one())


def _write_findings(
    transaction: Transaction, this: Finished, findings: Sequence[Finding]
) -> list[str]:
    """Replace the findings about the study as a whole by these; give the kinds that hold it.

    Those of its instances that would go out hold it as well.
    """
    which = {"study_id": this.study.id, "number": this.study.generation}
    known = transaction.conn.execute(_FINDINGS, which).all()
    if any(one.instance is None for one in known):
        transaction.conn.execute(_FORGET, which)
    rows = [
        {
            "study": this.study.id,
            "generation": this.study.generation,
            "instance": None,
            "check": one.check,
            "severity": one.severity,
            "path": one.path,
            "explanation": one.explanation,
        }
        for one in findings
    ]
    if rows:
        transaction.conn.execute(_WRITE, rows)
    leaving = {one.id for one in this.members}
    told = [(one.severity, one.check) for one in known if one.instance in leaving]
    told += [(one.severity, one.check) for one in findings]
    holding = (f"{severity}: {check}" for severity, check in told if severity in HOLDING)
    return list(dict.fromkeys(holding))
