"""One study before release: its instances must agree with each other and with the past."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from node.validate.findings import Finding, InstanceFacts, Severity


@dataclass(frozen=True, slots=True)
class Generation:
    """What the generations of one study must share."""

    patient_id: str
    study_instance_uid: str
    profile_digest: str
    key_fingerprint: str
    domain: str


_NAMES = {
    "patient_id": "patient",
    "study_instance_uid": "Study Instance UID",
    "profile_digest": "profile",
    "key_fingerprint": "key",
    "domain": "pseudonym domain",
}


def check_study(
    facts: Sequence[InstanceFacts],
    released: Collection[str] = (),
    this: Generation | None = None,
    earlier: Generation | None = None,
    out: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Check what goes out together.

    Parameters
    ----------
    facts
        Of each output instance of this release, as the verdicts gave them.
    released
        SOP Instance UIDs (new ones) that earlier generations of the study released.
    this, earlier
        This generation and the one before; None where there is none.
    out
        SOP Instance UIDs (new ones) that are out, and of which no second version may follow.
    """
    return (
        *_check_one(facts),
        *_check_out(facts, out),
        *_check_references(facts, released),
        *_check_past(this, earlier),
    )


def _check_one(facts: Sequence[InstanceFacts]) -> Iterator[Finding]:
    for name, values in (
        ("Patient ID", {fact.patient_id for fact in facts}),
        ("Patient's Name", {fact.patient_name for fact in facts}),
        ("Study Instance UID", {fact.study_instance_uid for fact in facts}),
        ("date shift", {fact.shift_days for fact in facts}),
        ("patient behind the pseudonym", {fact.witness for fact in facts if fact.witness}),
    ):
        if len(values) > 1:
            yield _hold(f"The instances do not share one {name}: there are {len(values)}.")
        if values == {""}:
            yield _hold(f"The instances have no {name}.")
    repeated = [uid for uid, count in _uids(facts).items() if count > 1]
    if repeated:
        yield _hold(f"{len(repeated)} SOP Instance UIDs are used by more than one instance.")
    studies = {fact.series_instance_uid: fact.modality for fact in facts}
    for fact in facts:
        if studies[fact.series_instance_uid] != fact.modality:
            yield Finding("study", Severity.NOTE, "study", "A series has more than one modality.")
            return


def _check_out(facts: Sequence[InstanceFacts], out: Collection[str]) -> Iterator[Finding]:
    """See that an instance goes out once: a second version would meet the first at the PACS."""
    again = _uids(facts).keys() & set(out)
    if again:
        yield _hold(f"{len(again)} instances were released before under the same SOP Instance UID.")


def _uids(facts: Sequence[InstanceFacts]) -> Counter[str]:
    return Counter(fact.sop_instance_uid for fact in facts)


def _check_references(
    facts: Sequence[InstanceFacts], released: Collection[str]
) -> Iterator[Finding]:
    """List what is referred to and is not here: another study, or left out of this one."""
    dangling = frozenset(dangling_references(facts, released))
    if dangling:
        holders = sum(1 for fact in facts if fact.references & dangling)
        yield Finding(
            "references", Severity.NOTE, "study",
            f"{holders} instances refer to {len(dangling)} instances that are not in this release.",
        )  # fmt: skip


def dangling_references(
    facts: Sequence[InstanceFacts], released: Collection[str] = ()
) -> tuple[str, ...]:
    """Give the new UIDs that are referred to and neither here nor released before, in order."""
    known = {*_uids(facts), *released}
    return tuple(sorted({uid for fact in facts for uid in fact.references if uid} - known))


def _check_past(this: Generation | None, earlier: Generation | None) -> Iterator[Finding]:
    if this is None or earlier is None:
        return
    for field, name in _NAMES.items():
        if getattr(this, field) != getattr(earlier, field):
            yield _hold(f"An earlier generation was released with another {name}.")


def _hold(explanation: str) -> Finding:
    return Finding("study", Severity.HOLD, "study", explanation)
