"""What people decided about deliveries: a file each, which `forward` takes up and then a row.

`<time>-<random>.json` lies in `outbox/decisions/` until it is taken up, then in `applied/` or
`refused/` below it. Whoever may write there may decide; a reason is text for people, without PHI.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from node import disk

_CLOCK_DIGITS = 17


class DecisionKind(StrEnum):
    """What a person may decide about deliveries."""

    #: Try what is deferred or refused again, now.
    RETRY = "retry"
    #: Give up what is not delivered.
    ABANDON = "abandon"
    #: Send again what was delivered.
    REDELIVER = "redeliver"
    #: Take a study back: nothing more of it goes out, and a list is written of what went.
    WITHDRAW = "withdraw"
    #: Start nothing new to a destination.
    PAUSE = "pause"
    #: Go on, at once.
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class DeliveryDecision:
    """Who decided what, when (UTC, ISO 8601) and why; "" stands for every study or destination."""

    kind: DecisionKind
    who: str
    when: str
    why: str = ""
    study: str = ""
    destination: str = ""


_SHAPE = TypeAdapter(DeliveryDecision)


class DecisionInvalid(Exception):  # noqa: N818 -- a fact about the file
    """A decision file does not say what a decision says."""


def write_decision(decisions: Path, decision: DeliveryDecision, now: float) -> Path:
    """Write a decision durably; `now` (seconds since 1970) orders it among the others.

    Raises
    ------
    DecisionInvalid
        If it names no study or destination where its kind needs one.
    """
    _check(decision)
    stamp = f"{int(now * 1e6):0{_CLOCK_DIGITS}d}"
    path = decisions / f"{stamp}-{secrets.token_hex(4)}.json"
    disk.write_durably(path, json.dumps(asdict(decision), indent=1).encode() + b"\n", mode=0o640)
    return path


def read_decision(path: Path) -> DeliveryDecision:
    """Read a decision; DecisionInvalid if it is none."""
    try:
        decision = _SHAPE.validate_json(path.read_bytes())
    except ValidationError:
        raise DecisionInvalid("the file is not a decision about deliveries") from None
    _check(decision)
    return decision


def waiting(decisions: Path) -> list[Path]:
    """List the decisions that were not taken up yet, in the order in which they were made."""
    return sorted(path for path in decisions.glob("[!.]*.json") if path.is_file())


def applied(decisions: Path) -> list[Path]:
    """List the decisions that were applied, in the order in which they were made."""
    return sorted((decisions / "applied").glob("[!.]*.json"))


def file_away(path: Path, *, refused: bool) -> None:
    """Put a decision that was taken up beside those before it."""
    folder = path.parent / ("refused" if refused else "applied")
    folder.mkdir(exist_ok=True, mode=0o770)
    disk.rename_noreplace(path, folder / path.name)
    disk.fsync_dir(folder)
    disk.fsync_dir(path.parent)


def _check(decision: DeliveryDecision) -> None:
    about_destination = decision.kind in (DecisionKind.PAUSE, DecisionKind.RESUME)
    if about_destination and not decision.destination:
        raise DecisionInvalid(f"{decision.kind} needs a destination")
    if not about_destination and not decision.study:
        raise DecisionInvalid(f"{decision.kind} needs a study")
    if decision.kind is DecisionKind.WITHDRAW and decision.destination:
        raise DecisionInvalid("a study is withdrawn from every destination")
