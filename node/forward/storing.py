"""Items over one association by C-STORE: the next file is read while the peer stores the last.

So an answer costs no wait where the peer is as fast as we read and hash, and no second thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from node.forward.batch import Answer, Item, Reaction, Report
from node.forward.contexts import Group, refusal
from node.forward.outcomes import describe, outcome_of
from node.forward.source import WHOLE_LIMIT, FileAltered, Reader, Source
from node.upper_layer import Command, RequestedAssociation, UpperLayerError

_MESSAGE_IDS = 65_536


@dataclass(slots=True)
class Storing:
    """An association, what is told about it, and the item on it that has no answer yet."""

    association: RequestedAssociation
    group: Group
    report: Report
    #: Called with each reaction to an answer of the peer, and its text.
    heard: Callable[[Reaction, str], None]
    is_over: Callable[[], bool]
    _reader: Reader = field(default_factory=Reader)
    _contexts: dict[tuple[str, str], int] = field(init=False)
    _asked: tuple[Item, Command] | None = None
    _messages: int = 0

    def __post_init__(self) -> None:
        self._contexts = {
            (context.abstract_syntax, context.transfer_syntax): number
            for number, context in self.association.contexts.items()
        }

    def send(self, items: Iterable[Item]) -> None:
        """Send items until they or the association end; raises UpperLayerError.

        An item of a failed association that was not begun has no answer.
        """
        for item in items:
            context = self._contexts.get((item.sop_class_uid, item.transfer_syntax_uid))
            if context is None:
                text = refusal(item, self.group, self.association.refused)
                self.report.answered(Answer(item.number, Reaction.REFUSE, text))
                continue
            if item.bytes > WHOLE_LIMIT:
                self._take_answer()  # to hash a large file takes long
            try:
                with self._reader.open(item) as source:
                    self._take_answer()
                    if self.is_over():
                        return
                    self._begin(context, source)
            except FileAltered as altered:
                self.report.answered(Answer(item.number, Reaction.REFUSE, str(altered)))
                if self.association.ended:  # it was aborted in the middle of this item
                    return
        self._take_answer()

    def _begin(self, context: int, source: Source) -> None:
        item = source.item
        self._messages = (self._messages + 1) % _MESSAGE_IDS
        self.report.begun(item)
        with self._unknown_on_failure(item):
            request = self.association.begin_store(
                context,
                self._messages,
                item.sop_class_uid,
                item.sop_instance_uid,
                self._counted(source),
                item.bytes - source.dataset_offset,
            )
        self._asked = item, request

    def _take_answer(self) -> None:
        """Take the answer that is still to come, if there is one."""
        if self._asked is None:
            return
        (item, request), self._asked = self._asked, None
        with self._unknown_on_failure(item):
            status = self.association.answer_to(request)
        outcome = outcome_of(status, sent_before=item.sent_before)
        text = describe(status, outcome)
        self.report.answered(Answer(item.number, outcome.reaction, text))
        self.heard(outcome.reaction, text)

    def _counted(self, source: Source) -> Iterator[memoryview]:
        for piece in source.pieces(source.dataset_offset):
            yield piece
            self.report.sent(len(piece))

    @contextmanager
    def _unknown_on_failure(self, item: Item) -> Iterator[None]:
        try:
            yield
        except UpperLayerError as error:
            self.report.answered(Answer(item.number, Reaction.RETRY, str(error), unknown=True))
            raise
