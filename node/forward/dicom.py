"""A research PACS by C-STORE (PS3.4 B): several associations side by side, each in its thread.

The first association goes ahead alone; the others open once it has had a good answer, so that a
destination that is down or half up is knocked at once per back-off, not many times. After a batch
that ended well it stays open for a moment, in case the next batch follows.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from node.config import DicomDestination
from node.forward.batch import Batch, Ending, Item, Reaction, Report
from node.forward.contexts import Group, group
from node.forward.storing import Storing
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

_SERVICE_USER = 1
_CALLING_AE_NOT_RECOGNISED, _CALLED_AE_NOT_RECOGNISED = 3, 7
#: PS3.8 Table 9-21, source 1: words for the two that an operator meets.
_AE_TITLE_WORDS = {
    _CALLING_AE_NOT_RECOGNISED: "it does not know our AE title",
    _CALLED_AE_NOT_RECOGNISED: "it does not know itself by the AE title that we call it",
}


#: The association that the batch before has left open, and its destination.
_kept: list[tuple[DicomDestination, RequestedAssociation]] = []


def send(batch: Batch, report: Report, stopped: Callable[[], bool]) -> Ending:
    """Send each item by C-STORE; see node.forward.batch.Send."""
    for some in group(batch.items):
        ending = _Associations(batch, some, report, stopped).run()
        if ending.reaction is not Reaction.STORED or stopped():
            return ending
    return Ending()


def let_go() -> None:
    """Release the association that was kept, if there is one."""
    while _kept:
        _kept.pop()[1].release()


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
                self._lead(destination)
            except UpperLayerError as error:
                self._end(ending_of(error))
            finally:
                self.good_answer.set()
            for other in others:
                other.result()
        return self.ending

    def _lead(self, destination: DicomDestination) -> None:
        """Be the first association: the one that was kept, or a new one."""
        association = _take_kept(destination, self.group) or connect(
            destination, self.group.proposals, self.batch.timeout_seconds
        )
        try:
            self._send_over(association)
        except BaseException:
            association.abort()
            raise
        ended_well = self.ending.reaction is Reaction.STORED and not association.refused
        if self.batch.keep_open and ended_well and not association.ended:
            _kept.append((destination, association))
        else:
            association.release()

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
        Storing(association, self.group, self.report, self._heard, self._is_over).send(
            self._items()
        )

    def _heard(self, reaction: Reaction, text: str) -> None:
        if reaction is Reaction.STORED:
            self.good_answer.set()
        elif reaction in (Reaction.RETRY, Reaction.SUSPEND):
            self._end(Ending(reaction, text))

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


def _take_kept(destination: DicomDestination, some: Group) -> RequestedAssociation | None:
    """Take the association that was kept, if it has all contexts and the peer let it be."""
    while _kept:
        known, association = _kept.pop()
        has = {
            (each.abstract_syntax, each.transfer_syntax) for each in association.contexts.values()
        }
        wanted = {(each.abstract_syntax, each.transfer_syntaxes[0]) for each in some.proposals}
        if known == destination and wanted <= has and association.is_quiet():
            return association
        association.release()
    return None


def ending_of(error: UpperLayerError) -> Ending:
    """Say what a failed association means for its destination."""
    if isinstance(error, AssociationRejected) and error.permanent:
        words = _AE_TITLE_WORDS.get(error.reason) if error.source == _SERVICE_USER else None
        if words:
            return Ending(Reaction.SUSPEND, f"the destination rejected the association: {words}")
    return Ending(Reaction.RETRY, str(error))
