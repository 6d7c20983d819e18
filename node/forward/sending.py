"""The parent's side of a child process: what it says, and when to give it up."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from types import ModuleType
from typing import Any

from node.forward.batch import Batch, Ending, Reaction
from node.forward.child import Stop, run
from node.forward.commitment import Question

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
    context.set_forkserver_preload(
        [
            "node.forward.preload",
            "node.forward.senders",
            "node.forward.asking",
            "node.forward.child",
        ]
    )
    forkserver.ensure_running()
    return context


@dataclass(slots=True)
class Sending:
    """One piece of work on its way, in a process of its own."""

    process: ForkServerProcess
    pipe: Connection
    heard_at: float
    patience_seconds: float
    ending: Ending | None = None
    stop_asked: bool = False

    @classmethod
    def start(cls, context: ForkServerContext, work: Batch | Question, monotonic: float) -> Sending:
        """Start the process."""
        ours, theirs = context.Pipe()
        process = context.Process(target=run, args=(theirs, work), name="deid-send")
        with _no_main_module():
            process.start()
        theirs.close()
        patience = PATIENCE_SECONDS + PATIENCE_TIMEOUTS * work.timeout_seconds
        return cls(process, ours, monotonic, patience)

    def listen(self, monotonic: float) -> list[Any]:
        """Take what the child has said; after its last word `ending` is set."""
        messages: list[Any] = []
        with suppress(EOFError, OSError):
            while self.ending is None and self.pipe.poll():
                message = self.pipe.recv()
                self.heard_at = monotonic
                if isinstance(message, Ending):
                    self.ending = message
                else:
                    messages.append(message)
            return messages
        self.ending = self.ending or DIED
        return messages

    def is_overdue(self, monotonic: float) -> bool:
        """Tell whether the child must be given up."""
        return monotonic - self.heard_at > self.patience_seconds

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
        """Collect the process; tell whether it ended in order, so that its word is the truth."""
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
