"""The child's side: one process does one piece of work for one destination, tells, and ends.

What it tells of a batch goes up a pipe in parcels of at most 50 answers or 0.2 s. When the pipe
closes, its parent is gone, and so is the process.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from node import observe
from node.forward.batch import Answer, Batch, Ending, Item, Reaction
from node.forward.commitment import Question
from node.pool.containment import leave_no_core

PARCEL_ANSWERS = 50
PARCEL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Parcel:
    """What happened since the last parcel: answers, items begun, and bytes that were taken."""

    answers: tuple[Answer, ...] = ()
    begun: tuple[int, ...] = ()
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """From the parent: end after the instances that are on their way."""


@dataclass(slots=True)
class Parcels:
    """The Report of node.forward.batch that puts everything into parcels."""

    pipe: Connection
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _answers: list[Answer] = field(default_factory=list)
    _begun: list[int] = field(default_factory=list)
    _sent: int = 0
    _sealed_at: float = 0.0

    def begun(self, item: Item) -> None:
        """Say that the destination may have this item from now on."""
        with self._lock:
            self._begun.append(item.number)

    def sent(self, count: int) -> None:
        """Say that more bytes were taken."""
        with self._lock:
            self._sent += count

    def answered(self, answer: Answer) -> None:
        """Say what became of an item."""
        with self._lock:
            self._answers.append(answer)
            full = len(self._answers) >= PARCEL_ANSWERS
            if full or time.monotonic() - self._sealed_at > PARCEL_SECONDS:
                self._seal()

    def tell(self, message: Any) -> None:
        """Send a message of another kind."""
        with self._lock:
            self.pipe.send(message)

    def flush(self) -> None:
        """Send off what there is."""
        with self._lock:
            if self._answers or self._begun or self._sent:
                self._seal()

    def _seal(self) -> None:
        self.pipe.send(Parcel(tuple(self._answers), tuple(self._begun), self._sent))
        self._answers, self._begun, self._sent = [], [], 0
        self._sealed_at = time.monotonic()


def run(pipe: Connection, work: Batch | Question) -> None:
    """Do one piece of work; the whole life of the child process."""
    leave_no_core()
    # A stop comes through the pipe, so that what is on its way gets its answer.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    observe.name_process(f"to-{work.destination.name}")
    parcels = Parcels(pipe)
    stopped = threading.Event()
    threading.Thread(target=_attend, args=(pipe, parcels, stopped), daemon=True).start()
    try:
        ending = _do(work, parcels, stopped.is_set)
    except Exception as error:  # noqa: BLE001 -- a fault of ours must not end the delivery
        place = observe.exception_facts(error)["stack"][-1]
        text = f"the sender failed: {type(error).__qualname__} at {place}"
        ending = Ending(Reaction.RETRY, text, is_ours=True)
    parcels.flush()
    parcels.tell(ending)
    pipe.close()
    # Whatever thread is left hangs on a destination that we have given up.
    os._exit(0)


def _do(work: Batch | Question, parcels: Parcels, stopped: Callable[[], bool]) -> Ending:
    # Only a child loads what sends.
    if isinstance(work, Question):
        from node.forward.asking import ask  # noqa: PLC0415

        return ask(work, parcels.tell)
    from node.forward.senders import SENDERS  # noqa: PLC0415

    return SENDERS[work.destination.type](work, parcels, stopped)


def _attend(pipe: Connection, parcels: Parcels, stopped: threading.Event) -> None:
    """Send off parcels in time, take the order to stop, and end with the parent."""
    try:
        while True:
            if pipe.poll(PARCEL_SECONDS) and isinstance(pipe.recv(), Stop):
                stopped.set()
            parcels.flush()
    except (EOFError, OSError):
        os._exit(1)
