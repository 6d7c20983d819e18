"""The forwarder's own port: storage commitment results and C-ECHO, from destinations only.

So the research network never needs the port that identified data comes in by. An AE title proves
nobody; what a forger would have to know is a Transaction UID, 122 random bits that we told only
the destination.
"""

from __future__ import annotations

import queue
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from node.config import DicomDestination, Forward
from node.forward.asking import hear
from node.forward.commitment import Heard, Result
from node.upper_layer import (
    AssociateRequest,
    Connection,
    Deadlines,
    Listener,
    Rejection,
    Supported,
    open_listener,
)
from node.upper_layer.names import PLAIN_SYNTAXES, STORAGE_COMMITMENT_PUSH, VERIFICATION

#: The main loop writes a result to the ledger within this, or the peer is told to try again.
TAKEN_SECONDS = 10.0
#: PS3.7 D.3.3.4: who reports to us is the SCP of the service, though it opened the association.
SUPPORTED = (
    Supported(STORAGE_COMMITMENT_PUSH, PLAIN_SYNTAXES, scu_role=False, scp_role=True),
    Supported(VERIFICATION, PLAIN_SYNTAXES),
)
log = structlog.get_logger()


@dataclass(slots=True)
class Results:
    """The listener, and what it has heard."""

    own_ae_title: str
    destinations: tuple[DicomDestination, ...]
    #: Where the main loop finds what was heard.
    heard: queue.SimpleQueue[Heard]
    listener: Listener | None = None

    @classmethod
    def open(
        cls,
        settings: Forward,
        destinations: Iterable[DicomDestination],
        heard: queue.SimpleQueue[Heard],
    ) -> Results:
        """Open the port, if one is configured; OSError where it is taken."""
        results = cls(settings.ae_title, tuple(destinations), heard)
        if settings.port:
            deadlines = Deadlines(
                idle=settings.timeout_seconds, answer=settings.timeout_seconds,
                write=settings.timeout_seconds,
            )  # fmt: skip
            results.listener = open_listener(
                settings.ae_title, settings.host, settings.port, SUPPORTED, results.serve,
                deadlines=deadlines,
            )  # fmt: skip
            results.listener.start()
            log.info("listener_opened", port=results.listener.port)
        return results

    def serve(self, connection: Connection) -> None:
        """Serve one association of a destination."""
        request = connection.read_request()
        known = frozenset(
            destination.name
            for destination in self.destinations
            if destination.ae_title == request.calling_ae_title
        )
        if not known:
            _reject(connection, request, Rejection.CALLING_AE_NOT_RECOGNISED)
            return
        ours = {self.own_ae_title, *(each.calling_ae_title for each in self.destinations)}
        if request.called_ae_title not in ours:
            _reject(connection, request, Rejection.CALLED_AE_NOT_RECOGNISED)
            return
        association = connection.accept()
        while (message := association.receive()) is not None:
            hear(association, message, lambda result: self._take(result, known))

    def close(self) -> None:
        """Close the port; what is in hand is finished."""
        if self.listener is not None:
            self.listener.drain(seconds=5)

    def _take(self, result: Result, destinations: frozenset[str]) -> bool:
        """Hand a result to the main loop and wait until it is in the ledger."""
        heard = Heard(result, destinations)
        self.heard.put(heard)
        return heard.taken.wait(TAKEN_SECONDS) and heard.is_ours


def _reject(connection: Connection, request: AssociateRequest, rejection: Rejection) -> None:
    log.warning(
        "association_rejected",
        reason=rejection.name.lower(),
        peer=request.calling_ae_title,
        address=connection.address,
    )
    connection.reject(rejection)
