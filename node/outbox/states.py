"""What a delivery can be, and how it may move: one table, one function that moves (ledger.move)."""

from __future__ import annotations

from enum import StrEnum


class DeliveryState(StrEnum):
    """Where one release stands with one destination."""

    #: To be sent as soon as its destination's turn comes.
    PENDING = "PENDING"
    #: Intents are written; what a crash leaves here has an unknown outcome and is sent again.
    SENDING = "SENDING"
    #: To be tried again, not before next_attempt_at.
    DEFERRED = "DEFERRED"
    #: The destination answered for every instance that it has it.
    DELIVERED = "DELIVERED"
    #: The destination took responsibility (storage commitment, PS3.4 J).
    COMMITTED = "COMMITTED"
    #: Something is wrong that a person must look at; last_answer says what.
    REFUSED = "REFUSED"
    #: A person gave it up.
    ABANDONED = "ABANDONED"
    #: A person took the study back: nothing more of it is ever sent.
    WITHDRAWN = "WITHDRAWN"


class InstanceState(StrEnum):
    """Where one instance of a delivery stands."""

    #: Not sent, or sent and to be sent again.
    PENDING = "PENDING"
    #: About to be sent, or sent and not answered: the destination may have it.
    INTENDED = "INTENDED"
    #: The destination answered that it has it.
    STORED = "STORED"
    #: The destination took responsibility for it.
    COMMITTED = "COMMITTED"
    #: The destination, or the check before the send, said no.
    REFUSED = "REFUSED"


S = DeliveryState

#: From each state, those it may move to; anything else is IllegalTransition.
TRANSITIONS: dict[DeliveryState, frozenset[DeliveryState]] = {
    S.PENDING: frozenset({S.SENDING, S.REFUSED, S.ABANDONED, S.WITHDRAWN}),
    S.SENDING: frozenset({S.PENDING, S.DEFERRED, S.DELIVERED, S.REFUSED, S.ABANDONED, S.WITHDRAWN}),
    S.DEFERRED: frozenset({S.SENDING, S.PENDING, S.REFUSED, S.ABANDONED, S.WITHDRAWN}),
    # back to PENDING: redelivery, or references that the commitment result named as failed
    S.DELIVERED: frozenset({S.COMMITTED, S.PENDING, S.DEFERRED, S.REFUSED, S.WITHDRAWN}),
    S.COMMITTED: frozenset({S.PENDING, S.WITHDRAWN}),
    S.REFUSED: frozenset({S.PENDING, S.ABANDONED, S.WITHDRAWN}),
    S.ABANDONED: frozenset({S.PENDING, S.WITHDRAWN}),
    S.WITHDRAWN: frozenset(),
}


class IllegalTransition(Exception):  # noqa: N818 -- a fact about the move
    """A delivery cannot move so, or was not in the state that the mover believed."""
