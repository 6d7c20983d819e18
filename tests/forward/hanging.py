"""A destination type that leaves a thread behind; whoever unpickles its destination has it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from node.forward.batch import Batch, Ending, Report
from node.forward.senders import SENDERS


@dataclass(frozen=True, slots=True)
class Hanging:
    """A destination of this type."""

    name: str = "research"
    type: str = "hanging"

    def __reduce__(self) -> tuple[Callable[[str], Hanging], tuple[str]]:
        """Bring the sender along."""
        return _arrived, (self.name,)


def send(_batch: Batch, _report: Report, _stopped: Callable[[], bool]) -> Ending:
    """Leave a thread that would go on for an hour."""
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    return Ending()


def _arrived(name: str) -> Hanging:
    SENDERS["hanging"] = send
    return Hanging(name)
