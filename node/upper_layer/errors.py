"""What can go wrong with an association. Texts carry no value from the wire.

`retryable` is the raiser's word on whether the same attempt may succeed later. After a request was
sent, every one of these also means: the outcome is unknown, the peer may have acted on it.
"""

# ruff: noqa: N818 -- these are facts about a peer; "Error" says nothing more

from __future__ import annotations

from node.upper_layer.states import AbortReason


class UpperLayerError(Exception):
    """An association failed; a base for the facts below."""

    retryable = True


class ConnectionFailed(UpperLayerError):
    """No TCP connection could be made."""


class HandshakeFailed(UpperLayerError):
    """The TLS handshake failed: certificate, protocol version, or no TLS at the other end."""


class ConnectionLost(UpperLayerError):
    """The connection ended without A-RELEASE or A-ABORT."""


class PeerTimedOut(UpperLayerError):
    """The peer did not do its part in time; `step` names what was waited for."""

    def __init__(self, step: str) -> None:
        super().__init__(f"the peer took too long: {step}")
        self.step = step


class PeerAborted(UpperLayerError):
    """The peer sent A-ABORT (PS3.8 9.3.8)."""

    def __init__(self, source: int, reason: int) -> None:
        super().__init__(f"the peer aborted (source {source}, reason {reason})")
        self.source = source
        self.reason = reason


class ProtocolViolated(UpperLayerError):
    """The peer sent what PS3.7 or PS3.8 does not allow; `reason` is what our A-ABORT says."""

    def __init__(self, what: str, reason: AbortReason = AbortReason.INVALID_PARAMETER) -> None:
        super().__init__(what)
        self.what = what
        self.reason = reason


class WrongAnswer(ProtocolViolated):
    """The answer belongs to another request; the association was aborted."""


class ContextRefused(UpperLayerError):
    """The peer accepted no presentation context for what was to be sent."""

    retryable = False


class AssociationRejected(UpperLayerError):
    """The peer sent A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

    def __init__(self, result: int, source: int, reason: int) -> None:
        super().__init__(
            f"the peer rejected the association (result {result}, source {source}, reason {reason})"
        )
        self.result = result
        self.source = source
        self.reason = reason
        self.retryable = not self.permanent

    @property
    def permanent(self) -> bool:
        """Tell whether the peer said that trying again is of no use (result 1)."""
        return self.result == 1
