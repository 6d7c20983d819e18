"""The PDUs and the states in which each is expected (PS3.8 Tables 9-6 to 9-10).

A thread per association reads, acts and writes in turn, so the states that only wait for the local
user (Sta3, Sta8) or for a primitive in flight (Sta9 to Sta12) are moments inside a function here.
"""

from __future__ import annotations

from enum import Enum, IntEnum


class Pdu(IntEnum):
    """PS3.8 9.3.1: the type, a PDU's first byte."""

    A_ASSOCIATE_RQ = 1
    A_ASSOCIATE_AC = 2
    A_ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    A_RELEASE_RQ = 5
    A_RELEASE_RP = 6
    A_ABORT = 7


class State(Enum):
    """PS3.8 Table 9-6 and 9-7, where a peer's next PDU is waited for."""

    AWAITING_REQUEST = "Sta2"
    AWAITING_ANSWER = "Sta5"
    ESTABLISHED = "Sta6"
    AWAITING_RELEASE = "Sta7"


#: PS3.8 Table 9-10. A PDU that is not listed: A-ABORT, "unexpected PDU" (AA-1, AA-8).
EXPECTED: dict[State, frozenset[Pdu]] = {
    # AE-6, AA-2
    State.AWAITING_REQUEST: frozenset({Pdu.A_ASSOCIATE_RQ, Pdu.A_ABORT}),
    # AE-3, AE-4, AA-3
    State.AWAITING_ANSWER: frozenset({Pdu.A_ASSOCIATE_AC, Pdu.A_ASSOCIATE_RJ, Pdu.A_ABORT}),
    # DT-2, AR-2, AA-3
    State.ESTABLISHED: frozenset({Pdu.P_DATA_TF, Pdu.A_RELEASE_RQ, Pdu.A_ABORT}),
    # AR-6, AR-8 (a collision), AR-3, AA-3
    State.AWAITING_RELEASE: frozenset(
        {Pdu.P_DATA_TF, Pdu.A_RELEASE_RQ, Pdu.A_RELEASE_RP, Pdu.A_ABORT}
    ),
}

#: The payload of A-ASSOCIATE-RQ and -AC: 128 contexts with every transfer syntax fit in it.
MAX_ASSOCIATE_BYTES = 262144
#: The payload of A-ASSOCIATE-RJ, A-RELEASE and A-ABORT (PS3.8 9.3.4, 9.3.6 to 9.3.8).
SHORT_BYTES = 4


class AbortReason(IntEnum):
    """PS3.8 Table 9-26: what a service provider's A-ABORT says."""

    NOT_SPECIFIED = 0
    UNRECOGNISED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNISED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class Rejection(Enum):
    """PS3.8 Table 9-21: result (1 permanent, 2 transient), source, reason."""

    NO_REASON = (1, 1, 1)
    APPLICATION_CONTEXT_NOT_SUPPORTED = (1, 1, 2)
    CALLING_AE_NOT_RECOGNISED = (1, 1, 3)
    CALLED_AE_NOT_RECOGNISED = (1, 1, 7)
    PROTOCOL_VERSION_NOT_SUPPORTED = (1, 2, 2)
    TEMPORARY_CONGESTION = (2, 3, 1)
    LOCAL_LIMIT_EXCEEDED = (2, 3, 2)
