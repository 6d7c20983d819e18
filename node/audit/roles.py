"""What a role does, as its log tells it, written to its own trail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from structlog.types import EventDict

from node.audit.chain import append

#: Events of the log that are entries of the trail as well.
AUDITED = frozenset(
    {
        "role_started", "role_stopped", "role_failed", "role_died", "key_created",
        "association_rejected", "association_ended", "association_aborted", "instance_refused",
        "study_released", "study_held", "study_rejected", "study_requeued",
        "instance_quarantined", "decision_applied", "decision_refused", "originals_purged",
        "release_purged", "storage_failed", "study_held_long", "conservation_broken",
        "release_refused", "study_delivered",
        "study_committed", "delivery_refused", "delivery_abandoned", "delivery_withdrawn",
        "destination_paused", "destination_resumed", "sign_in_refused",
    }
)  # fmt: skip


class Trail:
    """A processor of the log that writes what is in AUDITED to a role's trail.

    A trail that cannot be written is told in the log and does not stop the role: what a role does
    is in the rows and files too. What a person does is not done without its entry (see `append`).
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        """Write the event if it is one to audit, and pass it on."""
        if event["event"] in AUDITED:
            facts = {k: v for k, v in event.items() if k not in _NOT_FACTS}
            try:
                append(
                    self.path, event.get("role", ""), event["event"], event["timestamp"], **facts
                )
            except OSError as error:
                event["audit_failed"] = error.strerror
        return event


_NOT_FACTS = frozenset({"event", "role", "timestamp", "level", "who", "what", "at", "n", "stack"})
