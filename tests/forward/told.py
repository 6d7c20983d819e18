"""What a destination type told, for tests that call it without a process around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from node.forward.batch import Answer, Ending, Item


@dataclass(slots=True)
class Told:
    """A Report that remembers, and calls back on each piece sent."""

    answers: list[Answer] = field(default_factory=list)
    ending: Ending = field(default_factory=Ending)
    on_sent: Callable[[], None] = lambda: None

    def begun(self, item: Item) -> None:
        """Nothing to remember."""

    def sent(self, count: int) -> None:
        """Call back."""
        del count
        self.on_sent()

    def answered(self, answer: Answer) -> None:
        """Remember."""
        self.answers.append(answer)
