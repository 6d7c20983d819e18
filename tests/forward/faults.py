"""What can go wrong with a PACS: with one C-STORE, or with one association."""

from __future__ import annotations

from enum import StrEnum

#: Statuses with which an instance is stored all the same.
WARNINGS = (0xB000, 0xB006, 0xB007, 0x0107, 0x0116)


class Fault(StrEnum):
    """What goes wrong with one C-STORE, or one association."""

    NONE = "none"
    DROP_BEFORE = "closes before it stored"
    DROP_AFTER = "closes after it stored"
    DROP_MIDWAY = "closes in the middle of the data set"
    RESET_MIDWAY = "resets in the middle of the data set"
    ABORT_BEFORE = "aborts before it stored"
    ABORT_AFTER = "aborts after it stored"
    SILENT = "stores and never answers"
    STOP_READING = "stops reading in the middle of the data set"
    HALF_HEADER = "answers with half a PDU header"
    HALF_ANSWER = "answers with half a P-DATA-TF and closes"
    WRONG_MESSAGE_ID = "answers for another message"
    WRONG_UID = "answers for another instance"
    GARBAGE = "answers with bytes that are no PDU"
    DIE = "dies, and returns in a moment"
    # of an association
    REJECT_PERMANENT = "rejects for good, without a reason"
    REJECT_CONTEXT_NAME = "does not support the application context name"
    REJECT_CALLING = "does not know the calling AE title"
    REJECT_CALLED = "does not know the called AE title"
    REJECT_VERSION = "does not support the protocol version"
    REJECT_TRANSIENT = "rejects for now"
    REJECT_CONGESTED = "rejects for temporary congestion"
    REJECT_FULL = "rejects because its local limit is exceeded"
    REFUSE_SYNTAXES = "accepts, but no transfer syntax"
    ACCEPT_SILENCE = "takes the connection and says nothing"
    ABORT_ASSOCIATE = "aborts instead of accepting"
    CLOSE_ASSOCIATE = "closes instead of accepting"
    HALF_ACCEPT = "sends half an A-ASSOCIATE-AC"


#: Result, source and reason (PS3.8 Table 9-21).
REJECTS = {
    Fault.REJECT_PERMANENT: (1, 1, 1),
    Fault.REJECT_CONTEXT_NAME: (1, 1, 2),
    Fault.REJECT_CALLING: (1, 1, 3),
    Fault.REJECT_CALLED: (1, 1, 7),
    Fault.REJECT_VERSION: (1, 2, 2),
    Fault.REJECT_TRANSIENT: (2, 1, 1),
    Fault.REJECT_CONGESTED: (2, 3, 1),
    Fault.REJECT_FULL: (2, 3, 2),
}
_FIRST_OF_ASSOCIATIONS = tuple(Fault).index(Fault.REJECT_PERMANENT)
STORE_FAULTS = tuple(Fault)[1:_FIRST_OF_ASSOCIATIONS]
ASSOCIATION_FAULTS = tuple(Fault)[_FIRST_OF_ASSOCIATIONS:]
