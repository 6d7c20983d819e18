"""PDUs and negotiation by pynetdicom's classes. The few inner names we use of it stand here alone.

pynetdicom is pinned; tests/upper_layer/test_codec.py fails if one of these names changes. What its
decoders raise on malformed bytes (AssertionError, KeyError, ValueError...) becomes one fact here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from pydicom.uid import UID
from pynetdicom.pdu import (
    A_ABORT_RQ,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
)
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import (
    PresentationContext,
    build_context,
    negotiate_as_acceptor,
    negotiate_as_requestor,
)

from node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.upper_layer.agreement import (
    AssociateRequest,
    Context,
    Negotiated,
    Proposal,
    Supported,
)
from node.upper_layer.errors import ProtocolViolated
from node.upper_layer.states import AbortReason, Rejection

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1
_ACCEPTED = 0
_SHORTEST_ASSOCIATE = 74  # PS3.8 Table 9-17: where the items begin
_Roles = dict[Any, tuple[bool | None, bool | None]]

RELEASE_RQ: bytes = A_RELEASE_RQ().encode()
RELEASE_RP: bytes = A_RELEASE_RP().encode()


def prepare(supported: tuple[Supported, ...]) -> None:
    """Build what negotiating with these takes, so that no first peer waits for it."""
    _table(supported)


def decode_request(pdu: bytes) -> AssociateRequest:
    """Decode an A-ASSOCIATE-RQ; ProtocolViolated if it is none."""
    try:
        decoded = A_ASSOCIATE_RQ()
        decoded.decode(pdu)
        primitive = decoded.to_primitive()
        roles = _roles(primitive)
        proposals = tuple(
            _proposal(context, roles) for context in primitive.presentation_context_definition_list
        )
        request = AssociateRequest(
            calling_ae_title=primitive.calling_ae_title.strip(),
            called_ae_title=primitive.called_ae_title.strip(),
            application_context=str(primitive.application_context_name or ""),
            protocol_version=decoded.protocol_version,
            proposals=proposals,
            peer_max_pdu=primitive.maximum_length_received or 0,
        )
    except Exception:  # noqa: BLE001 -- whatever the decoder stumbled on, the PDU is not a request
        raise ProtocolViolated("the A-ASSOCIATE-RQ is malformed") from None
    ids = {proposal.context_id for proposal in proposals}
    if not proposals or len(ids) != len(proposals):
        raise ProtocolViolated("the A-ASSOCIATE-RQ has no context, or one context ID twice")
    return request


def accept_request(
    request: AssociateRequest, supported: tuple[Supported, ...], max_pdu: int
) -> tuple[Negotiated, bytes]:
    """Negotiate as acceptor: what was agreed, and the A-ASSOCIATE-AC that says so."""
    proposed = [_presentation_context(proposal) for proposal in request.proposals]
    roles: _Roles = {
        UID(proposal.abstract_syntax): (bool(proposal.scu_role), bool(proposal.scp_role))
        for proposal in request.proposals
        if proposal.scu_role is not None or proposal.scp_role is not None
    }
    results, role_answers = negotiate_as_acceptor(proposed, _table(supported), roles)
    answer = A_ASSOCIATE()
    answer.application_context_name = APPLICATION_CONTEXT
    answer.calling_ae_title = request.calling_ae_title
    answer.called_ae_title = request.called_ae_title
    answer.result = _ACCEPTED
    answer.result_source = 1
    answer.presentation_context_definition_results_list = results
    answer.user_information = [*_who_we_are(max_pdu), *role_answers]
    return _negotiated(results, request.peer_max_pdu), A_ASSOCIATE_AC(answer).encode()


def encode_request(calling: str, called: str, proposals: Sequence[Proposal], max_pdu: int) -> bytes:
    """Encode an A-ASSOCIATE-RQ."""
    request = A_ASSOCIATE()
    request.application_context_name = APPLICATION_CONTEXT
    request.calling_ae_title = calling
    request.called_ae_title = called
    request.presentation_context_definition_list = [
        _presentation_context(proposal) for proposal in proposals
    ]
    request.user_information = [*_who_we_are(max_pdu), *_role_items(proposals)]
    return A_ASSOCIATE_RQ(request).encode()


def decode_accept(pdu: bytes, proposals: Sequence[Proposal]) -> Negotiated:
    """Decode the A-ASSOCIATE-AC that answers these proposals; ProtocolViolated if it is none."""
    if len(pdu) < _SHORTEST_ASSOCIATE:
        raise ProtocolViolated("the A-ASSOCIATE-AC is cut short")
    try:
        decoded = A_ASSOCIATE_AC()
        decoded.decode(pdu)
        primitive = decoded.to_primitive()
        results = negotiate_as_requestor(
            [_presentation_context(proposal) for proposal in proposals],
            primitive.presentation_context_definition_results_list,
            _roles(primitive),
        )
        return _negotiated(results, primitive.maximum_length_received or 0)
    except Exception:  # noqa: BLE001 -- whatever the decoder stumbled on, the PDU is no answer
        raise ProtocolViolated("the A-ASSOCIATE-AC is malformed") from None


def encode_rejection(rejection: Rejection) -> bytes:
    """Encode an A-ASSOCIATE-RJ."""
    primitive = A_ASSOCIATE()
    primitive.result, primitive.result_source, primitive.diagnostic = rejection.value
    return A_ASSOCIATE_RJ(primitive).encode()


def encode_abort(reason: AbortReason | None) -> bytes:
    """Encode an A-ABORT: the service user's without a reason, else the provider's with it."""
    abort = A_ABORT_RQ()
    abort.source = 0 if reason is None else 2
    abort.reason_diagnostic = reason or 0
    return abort.encode()


@lru_cache(maxsize=64)
def _table(supported: tuple[Supported, ...]) -> list[PresentationContext]:
    contexts = []
    for entry in supported:
        context = build_context(entry.abstract_syntax, list(entry.transfer_syntaxes))
        context.scu_role, context.scp_role = entry.scu_role, entry.scp_role
        contexts.append(context)
    return contexts


def _proposal(context: PresentationContext, roles: _Roles) -> Proposal:
    scu_role, scp_role = roles.get(context.abstract_syntax, (None, None))
    abstract, syntaxes = context.abstract_syntax, tuple(map(str, context.transfer_syntax))
    if context.context_id is None or not abstract or not syntaxes:
        raise ValueError("a presentation context lacks its id or a syntax")
    return Proposal(context.context_id, str(abstract), syntaxes, scu_role, scp_role)


def _presentation_context(proposal: Proposal) -> PresentationContext:
    context = build_context(proposal.abstract_syntax, list(proposal.transfer_syntaxes))
    context.context_id = proposal.context_id
    context.scu_role, context.scp_role = proposal.scu_role, proposal.scp_role
    return context


def _negotiated(results: Iterable[PresentationContext], peer_max_pdu: int) -> Negotiated:
    contexts: dict[int, Context] = {}
    refused: dict[int, int] = {}
    for context in results:
        context_id = context.context_id or 0
        if context.result == _ACCEPTED:
            contexts[context_id] = Context(
                context_id,
                str(context.abstract_syntax),
                str(context.transfer_syntax[0]),
                as_scu=bool(context.as_scu),
                as_scp=bool(context.as_scp),
            )
        else:
            refused[context_id] = context.result if context.result is not None else 2
    return Negotiated(contexts, refused, peer_max_pdu)


def _roles(primitive: A_ASSOCIATE) -> _Roles:
    return {
        item.sop_class_uid: (item.scu_role, item.scp_role)
        for item in primitive.user_information
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation)
    }


def _role_items(proposals: Sequence[Proposal]) -> list[SCP_SCU_RoleSelectionNegotiation]:
    items = {}
    for proposal in proposals:
        if proposal.scu_role is None and proposal.scp_role is None:
            continue
        item = SCP_SCU_RoleSelectionNegotiation()
        item.sop_class_uid = proposal.abstract_syntax
        item.scu_role, item.scp_role = bool(proposal.scu_role), bool(proposal.scp_role)
        items[proposal.abstract_syntax] = item
    return list(items.values())


def _who_we_are(max_pdu: int) -> list[Any]:
    length = MaximumLengthNotification()
    length.maximum_length_received = max_pdu
    class_uid = ImplementationClassUIDNotification()
    class_uid.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return [length, class_uid, version]
