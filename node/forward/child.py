"""The child's side: one process works for one destination, piece by piece, and tells.

What it tells of a batch goes up a pipe in parcels of at most 50 answers or 0.2 s, and last that it
is over. When the pipe closes in the middle, its parent is gone, and so is the process.
"""

from __future__ import annotations

import os
import queue
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
#: How long a connection is kept between two batches: less than any peer waits for a word.
KEEP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Parcel:
    """What happened since the last parcel: answers, items begun, and bytes that were taken."""

    answers: tuple[Answer, ...] = ()
    begun: tuple[int, ...] = ()
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """From the parent: end after the instances that are on their way."""


@dataclass(frozen=True, slots=True)
class Over:
    """The last word about a piece of work; `stays`: this process takes the next one."""

    ending: Ending
    stays: bool
    rest: Parcel


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

    def begin(self) -> None:
        """Begin a batch: its first answers may wait for others, too."""
        self._sealed_at = time.monotonic()

    def tell(self, message: Any) -> None:
        """Send a message of another kind."""
        with self._lock:
            self.pipe.send(message)

    def tell_over(self, ending: Ending, *, stays: bool) -> None:
        """Send what there is, and that it is all."""
        with self._lock:
            self.pipe.send(Over(ending, stays, self._take()))

    def flush(self) -> None:
        """Send off what there is."""
        with self._lock:
            if self._answers or self._begun or self._sent:
                self._seal()

    def _seal(self) -> None:
        self.pipe.send(self._take())
        self._sealed_at = time.monotonic()

    def _take(self) -> Parcel:
        parcel = Parcel(tuple(self._answers), tuple(self._begun), self._sent)
        self._answers, self._begun, self._sent = [], [], 0
        return parcel


@dataclass(slots=True)
class Inbound:
    """What the parent says: the next piece of work, the order to stop, or nothing any more."""

    pipe: Connection
    parcels: Parcels
    stopped: threading.Event = field(default_factory=threading.Event)
    working: bool = False
    _works: queue.SimpleQueue[Batch | Question | None] = field(default_factory=queue.SimpleQueue)

    def next_work(self) -> Batch | Question | None:
        """Wait for the next piece of work; None if there will be none."""
        try:
            return self._works.get(timeout=KEEP_SECONDS)
        except queue.Empty:
            _let_go()
            return self._works.get()

    def attend(self) -> None:
        """Hear the parent, send off parcels in time, and end with the parent."""
        try:
            while True:
                if self.pipe.poll(PARCEL_SECONDS if self.working else None):
                    self._take(self.pipe.recv())
                self.parcels.flush()
        except (EOFError, OSError):
            if self.working:
                os._exit(1)
            self._works.put(None)

    def _take(self, message: Stop | Batch | Question) -> None:
        if isinstance(message, Stop):
            self.stopped.set()
            return
        self.stopped.clear()
        self.working = True
        self._works.put(message)


def run(pipe: Connection, name: str) -> None:
    """Work for the destination `name` until the parent closes the pipe; the whole life."""
    leave_no_core()
    # A stop comes through the pipe, so that what is on its way gets its answer.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    observe.name_process(f"to-{name}")
    parcels = Parcels(pipe)
    inbound = Inbound(pipe, parcels)
    threading.Thread(target=inbound.attend, daemon=True).start()
    threads = threading.active_count()
    stays = True
    while stays and (work := inbound.next_work()) is not None:
        parcels.begin()
        try:
            ending = _do(work, parcels, inbound.stopped.is_set)
        except Exception as error:  # noqa: BLE001 -- a fault of ours must not end the delivery
            place = observe.exception_facts(error)["stack"][-1]
            text = f"the sender failed: {type(error).__qualname__} at {place}"
            ending = Ending(Reaction.RETRY, text, is_ours=True)
        # Whatever thread is left hangs on a destination that we have given up.
        stays = threading.active_count() == threads
        inbound.working = False
        try:
            parcels.tell_over(ending, stays=stays)
        except OSError:  # the parent went in this moment
            break
    _let_go()
    pipe.close()
    os._exit(0)


def _do(work: Batch | Question, parcels: Parcels, stopped: Callable[[], bool]) -> Ending:
    # Only a child loads what sends.
    if isinstance(work, Question):
        from node.forward.asking import ask  # noqa: PLC0415

        return ask(work, parcels.tell)
    from node.forward.senders import SENDERS  # noqa: PLC0415

    return SENDERS[work.destination.type](work, parcels, stopped)


def _let_go() -> None:
    from node.forward.senders import let_go  # noqa: PLC0415 -- as above

    let_go()
