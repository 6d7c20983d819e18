"""What the validator says: findings, the facts of an instance, and its verdict."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

#: An item's or frame's number.
_INDEX = re.compile(r"\[\d+\]|(?<=Frame )\d+")


class Severity(StrEnum):
    """What a finding means for the study."""

    #: Something of the original is, or may be, in the output: the study is held.
    LEAK = "leak"
    #: The output is not what the profile and the standard want: the study is held.
    INVALID = "invalid"
    #: A person must look before it leaves: the study is held.
    HOLD = "hold"
    #: The profile leaves such an instance out; the rest of the study goes on.
    EXCLUDE = "exclude"
    #: Shown, and nothing else.
    NOTE = "note"


#: These hold the whole study.
HOLDING = frozenset({Severity.LEAK, Severity.INVALID, Severity.HOLD})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    `path` is where: `(0040,A730)[2]>(0040,A160)` or a place in the file. `explanation` is for a
    person and holds nothing of the original: no value, name, identifier or date.
    """

    check: str
    severity: Severity
    path: str
    explanation: str


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """What the study's checks need to know of one output instance. Everything is of the output."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    patient_id: str = ""
    patient_name: str = ""
    modality: str = ""
    transfer_syntax_uid: str = ""
    #: SOP Instance UIDs that this instance refers to.
    references: frozenset[str] = frozenset()
    #: Days by which the recipe moves this patient's dates; 0 where it moves none.
    shift_days: int = 0
    #: Keyed digest of the original's patient, which tells two of one pseudonym apart.
    witness: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The validator's answer for one instance.

    Attributes
    ----------
    sha256, bytes
        Of the whole output file, as it was read for this verdict.
    source_digest
        Of the original's data set (node/inbox/dataset_digest.py), read with it; empty: unknown.
    """

    findings: tuple[Finding, ...]
    sha256: str
    bytes: int
    facts: InstanceFacts
    source_digest: str = ""

    @property
    def holds(self) -> bool:
        """Tell whether the study must be held."""
        return any(finding.severity in HOLDING for finding in self.findings)

    @property
    def excludes(self) -> bool:
        """Tell whether the profile leaves this instance out."""
        return any(finding.severity is Severity.EXCLUDE for finding in self.findings)


def gathered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Say once what is found alike in many items or frames: the first place, and how many more."""
    alike: dict[tuple[str, ...], list[Finding]] = {}
    for finding in dict.fromkeys(findings):
        place = _INDEX.sub("", finding.path)
        key = (finding.check, finding.severity, place, _INDEX.sub("", finding.explanation))
        alike.setdefault(key, []).append(finding)
    return tuple(
        first
        if not others
        else replace(first, explanation=f"{first.explanation} (and {len(others)} places like it)")
        for first, *others in alike.values()
    )


def tag_path(parent: str, tag: int, item: int | None = None) -> str:
    """Write an attribute's place, as `(0008,1140)[0]>(0008,1155)`."""
    path = f"{parent}>" if parent else ""
    path += f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    return path if item is None else f"{path}[{item}]"
