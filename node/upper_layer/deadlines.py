"""How long a peer may take for each step, in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Every wait on a peer has one of these; there is no wait without an end."""

    #: TCP connect, and apart from it the TLS handshake.
    connect: float = 10
    #: A-ASSOCIATE: the request after a connection came (PS3.8's ARTIM), or the answer to ours.
    associate: float = 30
    #: Accepting: between messages, and for one PDU to arrive.
    idle: float = 60
    #: Requesting: from the last byte of a request to its answer.
    answer: float = 60
    #: One write that the peer must take.
    write: float = 60
    #: A-RELEASE-RP, and the close of the connection after it.
    release: float = 10


#: A dataset that arrives slower than this for longer than `idle` is not worth its place, bytes/s.
SLOWEST_RATE = 1024
