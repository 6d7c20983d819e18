"""Answer a commitment request: N-ACTION-RSP at once, the result on this or a new association."""

from __future__ import annotations

import structlog

from node.config import Peer
from node.inbox.layout import Inbox
from node.observe import exception_facts
from node.receive.commitment import MAX_REQUEST_BYTES, NotARequest, read_request, settle
from node.receive.reports import Report, Reports, event_report
from node.upper_layer import Association, Message, Status
from node.upper_layer.names import STORAGE_COMMITMENT_INSTANCE

log = structlog.get_logger()

_REQUEST_COMMITMENT = 1  # PS3.4 Table J.3-1, action type
_REPORT_MESSAGE_ID = 1


def answer_commitment(
    association: Association, message: Message, peer: Peer, inbox: Inbox, reports: Reports
) -> None:
    """Serve one N-ACTION: success says that the request is taken, the report says the result.

    The report goes to the peer's host and port; to a peer without them, on this association.
    """
    context, command = message.context, message.command
    encoded = association.read_dataset(MAX_REQUEST_BYTES) if command.has_dataset else b""
    status = Status.SUCCESS
    outcome = None
    if command.sop_instance != STORAGE_COMMITMENT_INSTANCE:
        status = Status.NO_SUCH_SOP_INSTANCE
    elif command.action_type != _REQUEST_COMMITMENT:
        status = Status.NO_SUCH_ACTION_TYPE
    else:
        try:
            outcome = settle(read_request(encoded, context.transfer_syntax), inbox)
        except NotARequest:
            status = Status.INVALID_ARGUMENT_VALUE
        except OSError as error:  # a disk, an index: who cannot tell does not commit
            log.error("storage_failed", **exception_facts(error))  # noqa: TRY400 -- no exception text
            status = Status.PROCESSING_FAILURE
    if outcome and peer.host:
        ours = association.called_ae_title
        if not reports.put(Report(outcome, peer, ours)):
            status = Status.RESOURCE_LIMITATION
    association.send(context.context_id, command.answer(status))
    if outcome and not peer.host:
        report = event_report(outcome, _REPORT_MESSAGE_ID)
        association.send(context.context_id, report, outcome.encode(context.transfer_syntax))
