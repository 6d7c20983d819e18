"""Studies as lists and pages show them; one study's whole story from rows and files."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from node.config import NodeConfig
from node.inbox import views
from node.inbox.states import StudyState
from node.outbox.deliveries import Delivery, deliveries
from node.status.read import reading_index, reading_ledger, study_shape, when


def list_studies(
    config: NodeConfig, state: StudyState | None = None, limit: int = -1
) -> list[dict[str, Any]]:
    """List studies, the newest first, in the shape of `studies --json`."""
    with reading_index(config) as conn:
        if conn is None:
            return []
        return [study_shape(conn, row) for row in views.studies(conn, state, limit)]


def waiting_for_a_person(config: NodeConfig, limit: int = -1) -> list[dict[str, Any]]:
    """List the held studies, then released ones with instances in quarantine still."""
    with reading_index(config) as conn:
        if conn is None:
            return []
        held = views.studies(conn, StudyState.HELD, limit)
        rest = -1 if limit < 0 else limit - len(held)
        quarantined = views.in_quarantine(conn, rest) if rest else []
        return [study_shape(conn, row) for row in (*held, *quarantined)]


def show_study(config: NodeConfig, study: str) -> dict[str, Any] | None:
    """Give all that is known of one study, free of PHI; None if there is none of this id."""
    with reading_index(config) as conn:
        row = None if conn is None else views.study(conn, study)
        if conn is None or row is None:
            return None
        shape = study_shape(conn, row)
        shape["timeline"] = [
            {"at": when(event.at), "event": event.name, **event.detail}
            for event in views.timeline(conn, study)
        ]
        shape["findings"] = [asdict(finding) for finding in views.findings(conn, study)]
        shape["releases"] = [
            asdict(generation)
            | {
                name: when(getattr(generation, name))
                for name in ("begun_at", "released_at", "purged_at")
            }
            for generation in views.generations(conn, study)
        ]
        shape["decisions"] = [asdict(decision) for decision in views.decisions(conn, study)]
        shape["series"] = _series(views.instances(conn, study))
    shape["deliveries"] = list_deliveries(config, study)
    return shape


def list_deliveries(config: NodeConfig, study: str | None = None) -> list[dict[str, Any]]:
    """List deliveries of one study or of all, oldest release first."""
    with reading_ledger(config) as conn:
        if conn is None:
            return []
        return [_delivery_shape(delivery) for delivery in deliveries(conn, study)]


def _delivery_shape(delivery: Delivery) -> dict[str, Any]:
    shape = asdict(delivery)
    del shape["id"]
    for name in ("next_attempt_at", "updated_at"):
        shape[name] = when(shape[name])
    return shape


def _series(rows: list[views.InstanceRow]) -> list[dict[str, Any]]:
    """Count a study's instances by series and state; those that wait for a person are listed."""
    series: dict[int, dict[str, Any]] = {}
    for row in rows:
        entry = series.setdefault(
            row.series,
            {
                "series": row.series,
                "modality": row.modality,
                "first": row.instance,
                "states": {},
                "waiting": [],
            },
        )
        entry["states"][row.state] = entry["states"].get(row.state, 0) + 1
        why = row.waits_for or row.reason
        if why:
            entry["waiting"].append({"instance": row.instance, "state": row.state, "why": why})
    return [series[number] for number in sorted(series)]
