"""A research PACS by C-STORE (PS3.4 B): several associations side by side, each in its thread.

The first association goes ahead alone; the others open once it has had a good answer, so that a
destination that is down or half up is knocked at once per back-off, not many times.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from node.config import DicomDestination
from node.forward.ahead import read_ahead
from node.forward.batch import Answer, Batch, Ending, Item, Reaction, Report
from node.forward.contexts import Group, group, refusal
from node.forward.outcomes import describe, outcome_of
from node.forward.source import FileAltered, Source
from node.upper_layer import (
    AssociationRejected,
    Deadlines,
    HandshakeFailed,
    Proposal,
    RequestedAssociation,
    UpperLayerError,
    client_context,
    open_association,
)

_MESSAGE_IDS = 65_536
_SERVICE_USER = 1
_CALLING_AE_NOT_RECOGNISED, _CALLED_AE_NOT_RECOGNISED = 3, 7
#: PS3.8 Table 9-21, source 1: words for the two that an operator meets.
_AE_TITLE_WORDS = {
    _CALLING_AE_NOT_RECOGNISED: "it does not know our AE title",
    _CALLED_AE_NOT_RECOGNISED: "it does not know itself by the AE title that we call it",
}


def send(batch: Batch, report: Report, stopped: Callable[[], bool]) -> Ending:
    """Send each item by C-STORE; see node.forward.batch.Send."""
    for some in group(batch.items):
        ending = _Associations(batch, some, report, stopped).run()
        if ending.reaction is not Reaction.STORED or stopped():
            return ending
    return Ending()


def deadlines(timeout: float) -> Deadlines:
    """Give the deadlines of an association with a destination of this timeout (seconds)."""
    return Deadlines(
        connect=min(10.0, timeout), associate=min(30.0, timeout), idle=timeout, answer=timeout,
        write=timeout, release=min(10.0, timeout),
    )  # fmt: skip


def connect(
    destination: DicomDestination, proposals: Sequence[Proposal], timeout: float
) -> RequestedAssociation:
    """Open an association with a destination; raises UpperLayerError."""
    tls = destination.tls
    try:
        context = client_context(tls.ca, tls.certificate, tls.private_key) if tls else None
    except (OSError, ValueError):  # ssl's errors among them
        raise HandshakeFailed("the TLS files of this destination cannot be used") from None
    return open_association(
        destination.host,
        destination.port,
        destination.calling_ae_title,
        destination.ae_title,
        proposals,
        deadlines(timeout),
        context,
    )


@dataclass(slots=True)
class _Associations:
    """The associations of one group of items, and what they share."""

    batch: Batch
    group: Group
    report: Report
    stopped: Callable[[], bool]
    waiting: deque[Item] = field(init=False)
    ending: Ending = field(default_factory=Ending)
    over: threading.Event = field(default_factory=threading.Event)
    good_answer: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.waiting = deque(self.group.items)

    def run(self) -> Ending:
        """Send all, and give how it ended."""
        destination = self.batch.destination
        assert isinstance(destination, DicomDestination)  # noqa: S101 -- SENDERS chose us
        further = min(destination.associations, len(self.waiting)) - 1
        with ThreadPoolExecutor(max_workers=max(further, 1)) as threads:
            others = [threads.submit(self._follow, destination) for _ in range(further)]
            try:
                with connect(
                    destination, self.group.proposals, self.batch.timeout_seconds
                ) as association:
                    self._send_over(association)
            except UpperLayerError as error:
                self._end(ending_of(error))
            finally:
                self.good_answer.set()
            for other in others:
                other.result()
        return self.ending

    def _follow(self, destination: DicomDestination) -> None:
        """Be one of the further associations."""
        self.good_answer.wait()
        if self.over.is_set() or not self.waiting:
            return
        try:
            association = connect(destination, self.group.proposals, self.batch.timeout_seconds)
        except UpperLayerError:
            return  # as many as it takes: the others go on
        try:
            with association:
                self._send_over(association)
        except UpperLayerError as error:
            self._end(ending_of(error))

    def _send_over(self, association: RequestedAssociation) -> None:
        contexts = {
            (context.abstract_syntax, context.transfer_syntax): number
            for number, context in association.contexts.items()
        }
        with closing(read_ahead(self._items())) as openings:
            for message_id, opening in enumerate(openings, start=1):
                if self._is_over():
                    opening.forget()
                    return
                item = opening.item
                number = contexts.get((item.sop_class_uid, item.transfer_syntax_uid))
                if number is None:
                    opening.forget()
                    text = refusal(item, _result(self.group, association, item))
                    self.report.answered(Answer(item.number, Reaction.REFUSE, text))
                    continue
                try:
                    with opening as source:
                        self._store(association, number, message_id % _MESSAGE_IDS, source)
                except FileAltered as altered:
                    self.report.answered(Answer(item.number, Reaction.REFUSE, str(altered)))
                    if association.ended:  # it was aborted in the middle of this item
                        return

    def _store(
        self, association: RequestedAssociation, context: int, message_id: int, source: Source
    ) -> None:
        item = source.item
        self.report.begun(item)
        try:
            status = association.send_store(
                context,
                message_id,
                item.sop_class_uid,
                item.sop_instance_uid,
                self._counted(source),
                item.bytes - source.dataset_offset,
            )
        except UpperLayerError as error:
            self.report.answered(Answer(item.number, Reaction.RETRY, str(error), unknown=True))
            raise
        outcome = outcome_of(status, sent_before=item.sent_before)
        text = describe(status, outcome)
        self.report.answered(Answer(item.number, outcome.reaction, text))
        if outcome.reaction is Reaction.STORED:
            self.good_answer.set()
        elif outcome.reaction in (Reaction.RETRY, Reaction.SUSPEND):
            self._end(Ending(outcome.reaction, text))

    def _counted(self, source: Source) -> Iterator[memoryview]:
        for piece in source.pieces(source.dataset_offset):
            yield piece
            self.report.sent(len(piece))

    def _items(self) -> Iterator[Item]:
        while not self._is_over():
            try:
                yield self.waiting.popleft()
            except IndexError:
                return

    def _is_over(self) -> bool:
        return self.over.is_set() or self.stopped()

    def _end(self, ending: Ending) -> None:
        self.ending = ending
        self.over.set()


def _result(proposed: Group, association: RequestedAssociation, item: Item) -> int:
    pair = (item.sop_class_uid, item.transfer_syntax_uid)
    for proposal in proposed.proposals:
        if (proposal.abstract_syntax, proposal.transfer_syntaxes[0]) == pair:
            return association.refused.get(proposal.context_id, 0)
    return 0


def ending_of(error: UpperLayerError) -> Ending:
    """Say what a failed association means for its destination."""
    if isinstance(error, AssociationRejected) and error.permanent:
        words = _AE_TITLE_WORDS.get(error.reason) if error.source == _SERVICE_USER else None
        if words:
            return Ending(Reaction.SUSPEND, f"the destination rejected the association: {words}")
    return Ending(Reaction.RETRY, str(error))
