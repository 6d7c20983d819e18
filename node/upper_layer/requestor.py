"""What we ask on an association that we opened (PS3.7 9.3.1, 9.3.5, 10.1.4)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from pydicom.dataset import Dataset

from node.upper_layer.agreement import Context
from node.upper_layer.association import Association, Message
from node.upper_layer.command import Command, CommandField
from node.upper_layer.dataset import encode_dataset
from node.upper_layer.errors import (
    ConnectionLost,
    ContextRefused,
    WrongAnswer,
)
from node.upper_layer.names import (
    STORAGE_COMMITMENT_INSTANCE,
    STORAGE_COMMITMENT_PUSH,
    VERIFICATION,
)
from node.upper_layer.outgoing import command_pdus, data_pdus
from node.upper_layer.states import (
    AbortReason,
)
from node.upper_layer.wire import Buffer

_MEDIUM_PRIORITY = 0
_REQUEST_COMMITMENT = 1  # PS3.4 Table J.3-1, action type


class RequestedAssociation(Association):
    """An association that we opened. As a context: released at its end, aborted on an exception."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    def send_store(
        self,
        context_id: int,
        message_id: int,
        sop_class: str,
        sop_instance: str,
        chunks: Iterable[Buffer],
        length: int,
    ) -> int:
        """C-STORE a dataset of `length` bytes and give the status of the answer.

        See begin_store; any UpperLayerError means: the outcome is unknown.
        """
        return self.answer_to(
            self.begin_store(context_id, message_id, sop_class, sop_instance, chunks, length)
        )

    def begin_store(
        self,
        context_id: int,
        message_id: int,
        sop_class: str,
        sop_instance: str,
        chunks: Iterable[Buffer],
        length: int,
    ) -> Command:
        """Send a C-STORE request and its dataset; `answer_to` takes the answer.

        A chunk is sent whole before the next one is asked for. The last fragment leaves only when
        byte number `length` was given; if `chunks` raises before that, the association is aborted
        and the exception goes through. What the caller does before it takes the answer is done
        while the peer stores.
        """
        request = Command(
            CommandField.C_STORE_RQ,
            message_id=message_id,
            sop_class=sop_class,
            sop_instance=sop_instance,
            priority=_MEDIUM_PRIORITY,
            has_dataset=True,
        )
        pieces = command_pdus(context_id, request, self._fragment)
        left = length
        try:
            for chunk in chunks:
                size = len(chunk)
                _check(0 < size <= left)
                left -= size
                pieces += data_pdus(context_id, chunk, self._fragment, is_end=left == 0)
                self._write(pieces)
                pieces = []
            _check(left == 0 < length)
        except BaseException:
            self.abort()
            raise
        return request

    def answer_to(self, request: Command) -> int:
        """Wait for the answer to a request, check that it is the answer, give its status."""
        step = "the answer to a request"
        message = self._receive(time.monotonic() + self.deadlines.answer, step)
        if message is None:
            raise ConnectionLost("the peer released the association instead of answering")
        answer = message.command
        if (
            answer.field != request.answer(0).field
            or answer.message_id_responded_to != request.message_id
            or answer.status is None
            or (answer.sop_instance and answer.sop_instance != request.sop_instance)
        ):
            self.abort(AbortReason.UNEXPECTED_PARAMETER)
            raise WrongAnswer("the peer answered another request than ours")
        self.pass_over_dataset()
        return answer.status

    def echo(self, message_id: int = 1, context_id: int | None = None) -> int:
        """C-ECHO; in the first accepted Verification context if none is named."""
        request = Command(CommandField.C_ECHO_RQ, message_id=message_id, sop_class=VERIFICATION)
        if context_id is None:
            context_id = self.accepted_context(VERIFICATION).context_id
        return self.ask(context_id, request)

    def request_commitment(
        self,
        context_id: int,
        message_id: int,
        transaction_uid: str,
        references: Sequence[tuple[str, str]],
    ) -> int:
        """N-ACTION: ask to commit to instances (SOP class, SOP instance) (PS3.4 J.3.2)."""
        request = Command(
            CommandField.N_ACTION_RQ,
            message_id=message_id,
            sop_class=STORAGE_COMMITMENT_PUSH,
            sop_instance=STORAGE_COMMITMENT_INSTANCE,
            action_type=_REQUEST_COMMITMENT,
            has_dataset=True,
        )
        dataset = Dataset()
        dataset.TransactionUID = transaction_uid
        dataset.ReferencedSOPSequence = [
            _reference(sop_class, sop_instance) for sop_class, sop_instance in references
        ]
        syntax = self.contexts[context_id].transfer_syntax
        return self.ask(context_id, request, encode_dataset(dataset, syntax))

    def ask(self, context_id: int, request: Command, dataset: Buffer = b"") -> int:
        """Send a request, wait for its answer, check that it is the answer, give its status."""
        self.send(context_id, request, dataset)
        return self.answer_to(request)

    def wait_for_message(self, seconds: float) -> Message | None:
        """Wait for a message of the peer, such as N-EVENT-REPORT; None if it released.

        Raises PeerTimedOut (and the association is over) when nothing came in time.
        """
        self.pass_over_dataset()
        return self._receive(time.monotonic() + seconds, "a message")

    def accepted_context(self, abstract_syntax: str) -> Context:
        """Give the first accepted context of a SOP class; ContextRefused if there is none."""
        for context in self.contexts.values():
            if context.abstract_syntax == abstract_syntax:
                return context
        raise ContextRefused("the peer accepted no presentation context for this SOP class")


def _check(length_is_right: bool) -> None:
    if not length_is_right:
        raise ValueError("the chunks do not have the length that was told")


def _reference(sop_class: str, sop_instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = sop_instance
    return item
