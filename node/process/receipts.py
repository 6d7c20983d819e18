"""Has every destination a release for good? Asked of files in the outbox, never of the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from node.inbox.index import AnyRow
from node.outbox.decisions import (
    DecisionInvalid,
    DecisionKind,
    DeliveryDecision,
    applied,
    read_decision,
    waiting,
)
from node.outbox.layout import Outbox
from node.outbox.manifest import FILE_NAME
from node.outbox.receipts import ReceiptInvalid, read_receipt
from node.process.staging import release_name

_GIVEN_UP = frozenset({DecisionKind.ABANDON, DecisionKind.WITHDRAW})


def is_settled(outbox: Outbox, row: AnyRow) -> bool:
    """Tell whether each destination of a generation has it, or a person gave that up.

    A redelivery that `forward` has not heard of yet needs the files; one that it has heard of
    took the receipt away, and what was given up before it is wanted again.
    """
    if any(_asks_again(decision, row.study) for decision in _read(waiting(outbox.decisions))):
        return False
    release = release_name(row.study, row.number)
    missing = [name for name in _destinations(outbox, release) if not _has(outbox, release, name)]
    if not missing:
        return True
    decisions = list(decisions_about(outbox, row.study))
    return all(_is_given_up(decisions, name, row.released_at) for name in missing)


def _is_given_up(
    decisions: Sequence[DeliveryDecision], destination: str, released_at: float
) -> bool:
    given_up = asked_again = 0.0
    for decision in decisions:
        if decision.destination not in ("", destination):
            continue
        if decision.kind in _GIVEN_UP:
            given_up = max(given_up, decided_at(decision))
        elif decision.kind is DecisionKind.REDELIVER:
            asked_again = max(asked_again, decided_at(decision))
    return given_up >= released_at and given_up > asked_again


def _asks_again(decision: DeliveryDecision, study_id: str) -> bool:
    return decision.kind is DecisionKind.REDELIVER and decision.study == study_id


def redelivery_asked_at(outbox: Outbox, study_id: str) -> float:
    """Give when the study was last asked for again; 0 if it never was."""
    return max(
        (
            decided_at(decision)
            for decision in decisions_about(outbox, study_id)
            if _asks_again(decision, study_id)
        ),
        default=0.0,
    )


def is_withdrawn(outbox: Outbox, study_id: str) -> bool:
    """Tell whether a person took the study back: then nothing more of it is sent."""
    kinds = {decision.kind for decision in decisions_about(outbox, study_id)}
    return DecisionKind.WITHDRAW in kinds


def decisions_about(outbox: Outbox, study_id: str) -> Iterator[DeliveryDecision]:
    """Read the applied decisions about a study's deliveries; what is none is passed over."""
    for decision in _read(applied(outbox.decisions)):
        if decision.study == study_id:
            yield decision


def _read(paths: Iterable[Path]) -> Iterator[DeliveryDecision]:
    for path in paths:
        try:
            yield read_decision(path)
        except (OSError, DecisionInvalid):
            continue


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
