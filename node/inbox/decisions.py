"""What a person decided about a study: a file first, then a row.

The command line and the web write the file; `process` applies it at its next tick, records the
outcome in the index, and renames the file to `<id>.applied.json` or `<id>.refused.json`, so that
the folder alone tells what was decided, by whom, when and why.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from node import disk
from node.inbox.layout import Inbox

_NAME = re.compile(r"\d{8}T\d{6}\d*Z-[0-9a-z]{8}\.json")


_MOST_SERIES = 2**31 - 1


class DecisionKind(StrEnum):
    """What may be decided."""

    #: Let a held study go, keeping one of conflicting instances, or against a finding.
    RELEASE = "release"
    #: Leave a series or an instance out, and let the rest go on.
    EXCLUDE = "exclude"
    #: Nothing of this study shall leave.
    REJECT = "reject"
    #: Make the study anew, with the route and profile as they are now.
    REQUEUE = "requeue"
    #: Wait no longer for instances.
    COMPLETE = "complete"


class Keep(StrEnum):
    """Which of two instances with one SOP Instance UID and other bytes is right."""

    FIRST = "first"
    LATEST = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision about one study; `when` is UTC, ISO 8601.

    `series` is our number of the series in the study, `instance` our id. `override` lets a study
    go against its findings and needs a reason in `why`. A requeue leaves out what people excluded,
    unless it is `with_excluded`.
    """

    kind: DecisionKind
    study: str
    who: str
    when: str
    why: str = ""
    series: Annotated[int, Field(ge=1, le=_MOST_SERIES)] | None = None
    instance: str | None = None
    keep: Keep | None = None
    override: bool = False
    all_generations: bool = False
    with_excluded: bool = False


class DecisionUnreadable(Exception):  # noqa: N818 -- a fact about the file
    """A file among the decisions is not one."""


_SHAPE = TypeAdapter(Decision)


def write_decision(inbox: Inbox, decision: Decision) -> Path:
    """Write a decision durably for `process` to apply, and return its file."""
    stamp = re.sub(r"[^0-9T]", "", decision.when.split("+")[0])
    name = f"{stamp}Z-{secrets.token_hex(4)}.json"
    path = inbox.decisions / name
    content = json.dumps(asdict(decision), indent=1, sort_keys=True)
    disk.write_durably(path, content.encode() + b"\n", mode=0o660)
    return path


def waiting_decisions(inbox: Inbox) -> list[Path]:
    """List the files that `process` has not dealt with, oldest decision first."""
    return sorted(path for path in inbox.decisions.iterdir() if _NAME.fullmatch(path.name))


def read_decision(path: Path) -> Decision:
    """Read a decision's file; DecisionUnreadable if it is none."""
    try:
        return _SHAPE.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise DecisionUnreadable("the file is not a decision") from None


def mark(path: Path, applied: bool) -> None:
    """Rename a decision's file so that it tells what came of it."""
    outcome = "applied" if applied else "refused"
    disk.rename_noreplace(path, path.with_name(f"{path.stem}.{outcome}.json"))
    disk.fsync_dir(path.parent)
