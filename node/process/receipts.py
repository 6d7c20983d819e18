"""Has every destination a release for good? Asked of files in the outbox, never of the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from node.inbox.index import AnyRow
from node.outbox.decisions import (
    DecisionInvalid,
    DecisionKind,
    DeliveryDecision,
    applied,
    read_decision,
)
from node.outbox.layout import Outbox
from node.outbox.manifest import FILE_NAME
from node.outbox.receipts import ReceiptInvalid, read_receipt
from node.process.staging import release_name

_GIVEN_UP = frozenset({DecisionKind.ABANDON, DecisionKind.WITHDRAW})


def is_settled(outbox: Outbox, row: AnyRow) -> bool:
    """Tell whether each destination of a generation has it, or a person gave that up."""
    release = release_name(row.study, row.number)
    missing = [name for name in _destinations(outbox, release) if not _has(outbox, release, name)]
    if not missing:
        return True
    given_up = {
        decision.destination
        for decision in decisions_about(outbox, row.study)
        if decision.kind in _GIVEN_UP and decided_at(decision) >= row.released_at
    }
    return "" in given_up or given_up.issuperset(missing)


def redelivery_asked_at(outbox: Outbox, study_id: str) -> float:
    """Give when the study was last asked for again; 0 if it never was."""
    return max(
        (
            decided_at(decision)
            for decision in decisions_about(outbox, study_id)
            if decision.kind is DecisionKind.REDELIVER
        ),
        default=0.0,
    )


def is_withdrawn(outbox: Outbox, study_id: str) -> bool:
    """Tell whether a person took the study back: then nothing more of it is sent."""
    kinds = {decision.kind for decision in decisions_about(outbox, study_id)}
    return DecisionKind.WITHDRAW in kinds


def decisions_about(outbox: Outbox, study_id: str) -> Iterator[DeliveryDecision]:
    """Read the applied decisions about a study's deliveries; what is none is passed over."""
    for path in applied(outbox.decisions):
        try:
            decision = read_decision(path)
        except (OSError, DecisionInvalid):
            continue
        if decision.study == study_id:
            yield decision


def decided_at(decision: DeliveryDecision) -> float:
    """Give when a decision was made, in seconds since 1970; 0 if it does not say."""
    try:
        return datetime.fromisoformat(decision.when).timestamp()
    except ValueError:
        return 0.0


def _destinations(outbox: Outbox, release: str) -> list[str]:
    """Read from the manifest where a release goes; its signature is `forward`'s to check."""
    content = json.loads((outbox.releases / release / FILE_NAME).read_bytes())
    return list(content["manifest"]["destinations"])


def _has(outbox: Outbox, release: str, destination: str) -> bool:
    try:
        return read_receipt(outbox.receipts, release, destination) is not None
    except ReceiptInvalid:
        return False
