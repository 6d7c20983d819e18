"""The parent's side of a batch: its process, what it says, and when to give it up."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from types import ModuleType

from node.forward.batch import Batch, Ending, Reaction
from node.forward.child import Parcel, Stop, run_batch

#: A child that says nothing for so long, and so many times the destination's timeout, is killed:
#: the deadlines inside it, which are shorter, have failed.
PATIENCE_SECONDS, PATIENCE_TIMEOUTS = 30.0, 4
DIED = Ending(Reaction.RETRY, "the sending process died")
KILLED = Ending(Reaction.RETRY, "the destination took nothing for too long")


def make_context() -> ForkServerContext:
    """Start the server that children are forked from, with what they need already loaded.

    Called from the main thread: the server ends with the thread that started it.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["node.forward.senders", "node.forward.child"])
    forkserver.ensure_running()
    return context


@dataclass(slots=True)
class Sending:
    """One batch on its way, in a process of its own."""

    batch: Batch
    process: ForkServerProcess
    pipe: Connection
    heard_at: float
    ending: Ending | None = None
    stop_asked: bool = False
    #: Items whose outcome is open: the destination may have them.
    begun: set[int] = field(default_factory=set)

    @classmethod
    def start(cls, context: ForkServerContext, batch: Batch, monotonic: float) -> Sending:
        """Start the process."""
        ours, theirs = context.Pipe()
        process = context.Process(target=run_batch, args=(theirs, batch), name="deid-send")
        with _no_main_module():
            process.start()
        theirs.close()
        return cls(batch, process, ours, monotonic)

    def listen(self, monotonic: float) -> list[Parcel]:
        """Take what the child has said; after its last word `ending` is set."""
        parcels: list[Parcel] = []
        with suppress(EOFError, OSError):
            while self.ending is None and self.pipe.poll():
                message = self.pipe.recv()
                self.heard_at = monotonic
                if isinstance(message, Ending):
                    self.ending = message
                else:
                    parcels.append(message)
                    self.begun.update(message.begun)
                    self.begun.difference_update(answer.number for answer in message.answers)
            return parcels
        self.ending = self.ending or DIED
        return parcels

    def is_overdue(self, monotonic: float) -> bool:
        """Tell whether the child must be given up."""
        patience = PATIENCE_SECONDS + PATIENCE_TIMEOUTS * self.batch.timeout_seconds
        return monotonic - self.heard_at > patience

    def ask_to_stop(self) -> None:
        """Let it finish the instances that are on their way, and no more."""
        if not self.stop_asked:
            self.stop_asked = True
            with suppress(OSError):
                self.pipe.send(Stop())

    def kill(self) -> None:
        """End the process now; what was begun has an unknown outcome."""
        self.process.kill()
        self.ending = self.ending or KILLED

    def close(self) -> bool:
        """Collect the process; tell whether it ended in order (then `begun` is the truth)."""
        self.process.join(timeout=5)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        in_order = self.process.exitcode == 0
        self.pipe.close()
        self.process.close()
        return in_order


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Keep a child from importing the program that started us: it needs nothing of it.

    Importing the command line again would cost each child more than a small batch does.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
