"""What a requestor proposes, an acceptor supports, and both agree on (PS3.8 7.1.1, PS3.7 D.3)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Proposal:
    """A presentation context that a requestor proposes; roles only where it selects them."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    scu_role: bool | None = None
    scp_role: bool | None = None


@dataclass(frozen=True, slots=True)
class Supported:
    """What an acceptor takes: its transfer syntaxes in order of preference.

    Roles are what we let a *requestor* be (PS3.7 D.3.3.4); None leaves its proposal unanswered, so
    that the default holds: the requestor is SCU.
    """

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    scu_role: bool | None = None
    scp_role: bool | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context. The roles are our own in it."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    as_scu: bool
    as_scp: bool


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """What a requestor's A-ASSOCIATE-RQ says. AE titles are stripped and printable."""

    calling_ae_title: str
    called_ae_title: str
    application_context: str
    protocol_version: int
    proposals: tuple[Proposal, ...]
    #: The longest PDU payload that the peer takes; 0 is no limit.
    peer_max_pdu: int


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on."""

    contexts: dict[int, Context]
    #: Context id to the acceptor's result: 1 user, 2 no reason, 3 abstract, 4 transfer syntaxes.
    refused: dict[int, int]
    peer_max_pdu: int
