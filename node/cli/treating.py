"""Files treated as the node treats them: de-identified aside, validated, then given their names."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from node import disk
from node.process.messages import (
    Deidentify,
    Duplicate,
    Excluded,
    Failed,
    FileReference,
    Outcome,
    Ready,
)
from node.process.messages import Held as HeldOutcome
from node.process.messages import Quarantined as QuarantinedOutcome
from node.process.worker import treat
from node.profile.recipe import Recipe
from node.validate import HOLDING, Finding, InstanceFacts, check_study


@dataclass(frozen=True, slots=True)
class Treated:
    """What came of one file: `deidentified`, `excluded`, `held` or `quarantined`, and why."""

    source: str
    outcome: str
    target: str | None = None
    why: str = ""
    findings: tuple[Finding, ...] = field(default=())


def treat_files(
    sources: Sequence[Path], source: Path, target: Path, recipe: Recipe
) -> list[Treated]:
    """Treat files and put those that pass to `target`.

    One file goes to `target` itself unless that is a folder; a folder's files go below it as
    `<new Study Instance UID>/<new SOP Instance UID>.dcm`. Nothing is ever overwritten.
    """
    single = source.is_file() and not target.is_dir()
    folder = target.parent if single else target
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".deid-node-", dir=folder))
    try:
        files = tuple(
            FileReference(str(number), path, aside / f"{number}.dcm")
            for number, path in enumerate(sources)
        )
        outcomes = treat(Deidentify(0, recipe, files)).outcomes
        held = _held_studies(outcomes)
        return [
            _finish(file, outcome, held, target if single else None, folder)
            for file, outcome in zip(files, outcomes, strict=True)
        ]
    finally:
        shutil.rmtree(aside)


def _held_studies(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Check what would go out together, and tell why a whole study may not."""
    studies: dict[str, dict[str, InstanceFacts]] = {}
    for outcome in outcomes:
        if isinstance(outcome, Ready) and not outcome.verdict.holds:
            facts = outcome.verdict.facts
            studies.setdefault(facts.study_instance_uid, {})[facts.sop_instance_uid] = facts
    held = {}
    for study, instances in studies.items():
        found = [f for f in check_study(list(instances.values())) if f.severity in HOLDING]
        if found:
            held[study] = found[0].explanation
    return held


def _finish(
    file: FileReference, outcome: Outcome, held: dict[str, str], target: Path | None, folder: Path
) -> Treated:
    source = str(file.source)
    match outcome:
        case Ready(verdict=verdict, deidentified=made):
            why = _why(verdict.findings) or held.get(made.study_instance_uid, "")
            if why:
                return Treated(source, "held", None, why, verdict.findings)
            goal = target or folder / made.study_instance_uid / f"{made.sop_instance_uid}.dcm"
            return Treated(source, "deidentified", str(_place(file.target, goal)))
        case Excluded() | Duplicate():
            findings = outcome.findings if isinstance(outcome, Excluded) else ()
            return Treated(source, "excluded", None, outcome.reason, findings)
        case QuarantinedOutcome(reason=reason):
            return Treated(source, "quarantined", None, reason)
        case HeldOutcome(reason=reason):
            return Treated(source, "held", None, reason)
        case Failed(exception=exception, stack=stack):
            where = f"{exception} at {stack[-1]}" if stack else exception
            return Treated(source, "quarantined", None, f"an unforeseen error: {where}")


def _why(findings: Sequence[Finding]) -> str:
    holding = [finding for finding in findings if finding.severity in HOLDING]
    return "; ".join(f"{finding.path}: {finding.explanation}" for finding in holding[:3])


def _place(made: Path, goal: Path) -> Path:
    """Give a file its name, or, where that is taken, the next free one beside it."""
    goal.parent.mkdir(exist_ok=True)
    number, name = 1, goal
    while True:
        try:
            disk.rename_noreplace(made, name)
        except FileExistsError:
            number += 1
            name = goal.with_name(f"{goal.stem}-{number}{goal.suffix}")
        else:
            return name
