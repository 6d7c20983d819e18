"""One study on a terminal: where it is, what was found, decided and delivered."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from node.status.view import STATE_STYLES, draw_deliveries, grid

COUNTS = (
    "received", "waiting", "deidentified", "released", "quarantined", "duplicate", "excluded",
    "rejected",
)  # fmt: skip


def draw_study(study: dict[str, Any]) -> RenderableType:
    """Draw one study's whole story."""
    state = Text(f"study {study['study']}  ", style="bold")
    state.append(study["state"], style=STATE_STYLES.get(study["state"], ""))
    if study["why"]:
        state.append(f"  {study['why']}")
    counts = ", ".join(f"{study[name]} {name}" for name in COUNTS if study[name])
    facts = Text(f"route {study['route'] or '-'}, modality {study['modality'] or '-'}: {counts}")
    return Group(
        state, facts, draw_findings(study["findings"]), _series(study), _deliveries(study),
        _decisions(study), _timeline(study),
    )  # fmt: skip


def draw_findings(findings: list[dict[str, Any]]) -> RenderableType:
    """Draw findings: which check, how grave, where, and what it means."""
    if not findings:
        return Text("no findings")
    rows = grid("severity", "check", "instance", "attribute", "finding")
    for finding in findings:
        rows.add_row(
            finding["severity"], finding["check"], finding["instance"], finding["path"],
            finding["explanation"],
        )  # fmt: skip
    return rows


def _series(study: dict[str, Any]) -> RenderableType:
    rows = grid("series", "modality", "instances")
    waiting = grid("instance", "state", "why")
    for series in study["series"]:
        states = ", ".join(f"{count} {state}" for state, count in series["states"].items())
        rows.add_row(str(series["series"]), series["modality"], states)
        for instance in series["waiting"]:
            waiting.add_row(instance["instance"], instance["state"], instance["why"])
    return Group(rows, waiting) if waiting.row_count else rows


def _deliveries(study: dict[str, Any]) -> RenderableType:
    if not study["deliveries"]:
        return Text("nothing released yet")
    return draw_deliveries(study["deliveries"])


def _decisions(study: dict[str, Any]) -> RenderableType:
    rows = grid("decided", "who", "what", "why", "")
    for decision in study["decisions"]:
        outcome = "applied" if decision["applied"] else f"refused: {decision['message']}"
        rows.add_row(
            decision["decided_at"], decision["who"], decision["kind"], decision["why"], outcome
        )
    return rows if rows.row_count else Text("no decisions")


def _timeline(study: dict[str, Any]) -> RenderableType:
    rows = grid("when", "what", "")
    for entry in study["timeline"]:
        detail = {k: v for k, v in entry.items() if k not in ("at", "event")}
        told = ", ".join(f"{key} {value}" for key, value in detail.items())
        rows.add_row(entry["at"], entry["event"], told)
    return rows
