"""Commitment results on their way to peers: N-EVENT-REPORT on an association of our own.

One thread and a short queue per role. A result that could not be delivered is dropped after the
last attempt: the peer asks again (PS3.4 J.3.2.1.2), and nothing of ours depends on it.
"""

from __future__ import annotations

import queue
import ssl
import threading
from dataclasses import dataclass

import structlog

from node.config import Peer, Receive
from node.observe import exception_facts
from node.receive.commitment import Outcome
from node.upper_layer import (
    Command,
    CommandField,
    Deadlines,
    Proposal,
    UpperLayerError,
    open_association,
)
from node.upper_layer.names import (
    PLAIN_SYNTAXES,
    STORAGE_COMMITMENT_INSTANCE,
    STORAGE_COMMITMENT_PUSH,
)

log = structlog.get_logger()

_LONGEST_QUEUE = 256
_WAITS = (0.0, 5.0, 30.0)  # seconds before each attempt
_CONTEXT = 1


@dataclass(frozen=True, slots=True)
class Report:
    """A result, and the peer that it goes to."""

    outcome: Outcome
    peer: Peer
    our_ae_title: str


def event_report(outcome: Outcome, message_id: int) -> Command:
    """Give the command of an N-EVENT-REPORT (PS3.4 J.3.3)."""
    return Command(
        CommandField.N_EVENT_REPORT_RQ,
        message_id=message_id,
        sop_class=STORAGE_COMMITMENT_PUSH,
        sop_instance=STORAGE_COMMITMENT_INSTANCE,
        event_type=outcome.event_type,
        has_dataset=True,
    )


class Reports:
    """Results that wait for their association."""

    def __init__(
        self,
        stop: threading.Event,
        receive: Receive,
        deadlines: Deadlines,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._stop = stop
        self._receive = receive
        self._deadlines = deadlines
        self._tls = tls
        self._queue: queue.Queue[Report] = queue.Queue(_LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._run, name="commitment", daemon=True)

    def start(self) -> None:
        """Begin to deliver, in a thread of its own."""
        self._thread.start()

    def put(self, report: Report) -> bool:
        """Take a result for delivery; False where too many wait."""
        try:
            self._queue.put_nowait(report)
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                report = self._queue.get(timeout=0.5)
            except queue.Empty:
                continue
            self._deliver(report)

    def _deliver(self, report: Report) -> None:
        tls = self._tls if self._receive.reports_over_tls(report.peer) else None
        why: dict[str, object] = {}
        for wait in _WAITS:
            if self._stop.wait(wait):
                return
            try:
                send_report(report, self._deadlines, tls)
            except UpperLayerError as error:
                why = {"reason": type(error).__name__}
            except Exception as error:  # noqa: BLE001 -- it costs this result, not all that follow
                why = exception_facts(error)
            else:
                return
        log.warning(
            "configuration_warning",
            what="a commitment result could not be delivered to the peer's host and port",
            peer=report.peer.ae_title,
            **why,
        )


def send_report(report: Report, deadlines: Deadlines, tls: ssl.SSLContext | None) -> int:
    """Deliver one result on a new association, our role SCP (PS3.7 D.3.3.4, PS3.4 J.3.3.1)."""
    peer = report.peer
    proposal = Proposal(
        _CONTEXT, STORAGE_COMMITMENT_PUSH, PLAIN_SYNTAXES, scu_role=False, scp_role=True
    )
    with open_association(
        peer.host, peer.port, report.our_ae_title, peer.ae_title, [proposal], deadlines, tls
    ) as association:
        context = association.accepted_context(STORAGE_COMMITMENT_PUSH)
        dataset = report.outcome.encode(context.transfer_syntax)
        return association.ask(context.context_id, event_report(report.outcome, 1), dataset)
