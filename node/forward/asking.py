"""Ask a destination to commit (N-ACTION), and hear it answer (N-EVENT-REPORT) (PS3.4 J.3)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from pydicom.dataset import Dataset

from node.forward.batch import Ending, Reaction
from node.forward.commitment import Declined, Question, Result
from node.forward.dicom import connect, ending_of
from node.upper_layer import (
    Association,
    Message,
    PeerTimedOut,
    Proposal,
    RequestedAssociation,
    Status,
    UpperLayerError,
)
from node.upper_layer.command import CommandField
from node.upper_layer.dataset import decode_dataset
from node.upper_layer.names import PLAIN_SYNTAXES, STORAGE_COMMITMENT_PUSH

MAX_RESULT_BYTES = 32 * 1024 * 1024
#: How long a result is waited for on the association that asked; after that it may come by another.
SAME_ASSOCIATION_SECONDS = 5.0
_UID = re.compile(r"[0-9.]{1,64}")
_RETRIED = frozenset({Status.PROCESSING_FAILURE, Status.RESOURCE_LIMITATION})


class NotAResult(Exception):  # noqa: N818 -- a fact about the message
    """A message that is no storage commitment result."""


def ask(question: Question, tell: Callable[[Result | Declined], None]) -> Ending:
    """Ask for commitment of each transaction, and tell what came back."""
    proposal = Proposal(1, STORAGE_COMMITMENT_PUSH, PLAIN_SYNTAXES)
    try:
        with connect(question.destination, (proposal,), question.timeout_seconds) as association:
            if not association.contexts:
                for transaction in question.transactions:
                    tell(Declined(transaction.uid, "the destination does not do it"))
                return Ending()
            return _ask_all(association, question, tell)
    except UpperLayerError as error:
        return ending_of(error)


def _ask_all(
    association: RequestedAssociation,
    question: Question,
    tell: Callable[[Result | Declined], None],
) -> Ending:
    awaited = set()
    ending = Ending()
    for number, transaction in enumerate(question.transactions, start=1):
        status = association.request_commitment(1, number, transaction.uid, transaction.references)
        if status == Status.SUCCESS:
            awaited.add(transaction.uid)
        elif status in _RETRIED:
            # It may be about this one only: the others are asked for all the same.
            ending = Ending(Reaction.RETRY, f"commitment was answered {status:04X}H")
        else:
            tell(Declined(transaction.uid, f"the destination answered {status:04X}H"))
    until = time.monotonic() + min(SAME_ASSOCIATION_SECONDS, question.timeout_seconds)
    while awaited and (left := until - time.monotonic()) > 0:
        try:
            message = association.wait_for_message(left)
        except PeerTimedOut:
            break
        if message is None:
            break
        result = hear(association, message, tell)
        if result is not None:
            awaited.discard(result.transaction_uid)
    return ending


def hear(
    association: Association, message: Message, take: Callable[[Result], bool | None]
) -> Result | None:
    """Hear a message that may be a result, answer it, and give the result.

    `take` is called before the answer and may say False: then the peer is told to try again.
    """
    command, context = message.command, message.context
    if not command.is_request:
        return None
    status, result = Status.UNRECOGNISED_OPERATION, None
    if command.field == CommandField.C_ECHO_RQ:
        status = Status.SUCCESS
    elif command.field == CommandField.N_EVENT_REPORT_RQ:
        encoded = association.read_dataset(MAX_RESULT_BYTES) if command.has_dataset else b""
        try:
            result = read_result(encoded, context.transfer_syntax)
        except NotAResult:
            status = Status.INVALID_ARGUMENT_VALUE
        else:
            status = Status.PROCESSING_FAILURE if take(result) is False else Status.SUCCESS
    association.send(context.context_id, command.answer(status))
    return result if status == Status.SUCCESS else None


def read_result(encoded: bytes, transfer_syntax: str) -> Result:
    """Decode the Event Information of an N-EVENT-REPORT (PS3.4 Table J.3-3)."""
    try:
        dataset = decode_dataset(encoded, transfer_syntax)
        uid = str(dataset.TransactionUID)
        committed = frozenset(
            str(item.ReferencedSOPInstanceUID)
            for item in dataset.get("ReferencedSOPSequence") or ()
        )
        failed = {
            str(item.ReferencedSOPInstanceUID): _reason(item)
            for item in dataset.get("FailedSOPSequence") or ()
        }
    except Exception:  # noqa: BLE001 -- whatever the reader stumbled on, it is no result
        raise NotAResult("the commitment result cannot be read") from None
    if not all(_UID.fullmatch(each) for each in (uid, *committed, *failed)):
        raise NotAResult("the commitment result names something by no UID")
    return Result(uid, committed - failed.keys(), failed)


def _reason(item: Dataset) -> int:
    return int(item.get("FailureReason") or Status.PROCESSING_FAILURE)
