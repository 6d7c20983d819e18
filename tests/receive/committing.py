"""A peer that asks for storage commitment: what it proposes, and where it hears the result."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from node.upper_layer import Connection, Proposal, Status, Supported, open_listener
from node.upper_layer.dataset import decode_dataset
from node.upper_layer.names import EXPLICIT_LITTLE, PLAIN_SYNTAXES, STORAGE_COMMITMENT_PUSH
from tests.receive.receiving import CT, EXPLICIT

COMMIT = 3
TRANSACTION = "1.2.826.0.1.3680043.9.7777.9"
PROPOSALS = (
    Proposal(1, CT, (EXPLICIT,)),
    Proposal(COMMIT, STORAGE_COMMITMENT_PUSH, PLAIN_SYNTAXES),
)


@dataclass
class Result:
    """What a commitment report said."""

    event_type: int | None
    dataset: Dataset

    @property
    def committed(self) -> list[str]:
        """The instances that are held."""
        return [i.ReferencedSOPInstanceUID for i in self.dataset.get("ReferencedSOPSequence", [])]

    @property
    def failed(self) -> list[tuple[str, int]]:
        """The instances that are not, and why."""
        items = self.dataset.get("FailedSOPSequence", [])
        return [(i.ReferencedSOPInstanceUID, i.FailureReason) for i in items]


@dataclass
class Reported:
    """A peer's own listener for reports, and what it heard."""

    port: int
    results: list[Result] = field(default_factory=list)
    roles: list[tuple[bool | None, bool | None]] = field(default_factory=list)


@contextmanager
def a_peers_listener(port: int, tls: ssl.SSLContext | None = None) -> Iterator[Reported]:
    """Listen for reports as the peer that asked (PS3.4 J.3.3)."""
    heard = Reported(port)

    def serve(connection: Connection) -> None:
        request = connection.read_request()
        heard.roles += [(p.scu_role, p.scp_role) for p in request.proposals]
        association = connection.accept()
        assert association.contexts[1].as_scu
        while (message := association.receive()) is not None:
            dataset = decode_dataset(association.read_dataset(10**6), EXPLICIT_LITTLE)
            heard.results.append(Result(message.command.event_type, dataset))
            association.send(1, message.command.answer(Status.SUCCESS))

    supported = Supported(STORAGE_COMMITMENT_PUSH, PLAIN_SYNTAXES, scu_role=False, scp_role=True)
    listener = open_listener("CT1", "127.0.0.1", port, [supported], serve, tls)
    listener.start()
    try:
        yield heard
    finally:
        listener.drain(2)
