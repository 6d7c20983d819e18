"""The parent's side of a child process: what it says, and when to give it up."""

from __future__ import annotations

import multiprocessing
import os
import socket
import struct
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
from node.forward.child import Over, Stop, run
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
            "node.forward.preload_first",
            "node.forward.senders",
            "node.forward.asking",
            "node.forward.child",
            "node.forward.preload_last",
        ]
    )
    forkserver.ensure_running()
    return context


@dataclass(slots=True)
class Sending:
    """A process that sends, and the piece of work that it has or had last."""

    process: ForkServerProcess
    pipe: Connection
    heard_at: float = 0.0
    patience_seconds: float = 0.0
    ending: Ending | None = None
    #: True once its last word was heard: then what it told is all that left.
    in_order: bool = False
    #: True once it has said that it takes another piece of work.
    stays: bool = False
    stop_asked: bool = False

    @classmethod
    def start(cls, context: ForkServerContext, work: Batch | Question, monotonic: float) -> Sending:
        """Start a process, and give it something to do."""
        ours, theirs = context.Pipe()
        _bound_sends(ours)
        process = context.Process(
            target=run, args=(theirs, work.destination.name), name="deid-send"
        )
        with _no_main_module():
            process.start()
        theirs.close()
        sending = cls(process, ours)
        sending.give(work, monotonic)
        return sending

    def give(self, work: Batch | Question, monotonic: float) -> None:
        """Give the process something to do."""
        self.heard_at = monotonic
        self.patience_seconds = PATIENCE_SECONDS + PATIENCE_TIMEOUTS * work.timeout_seconds
        self.ending, self.in_order, self.stays, self.stop_asked = None, False, False, False
        try:
            self.pipe.send(work)
        except OSError:
            self.process.kill()
            self.ending = DIED

    def listen(self, monotonic: float) -> list[Any]:
        """Take what the child has said; after its last word `ending` is set."""
        messages: list[Any] = []
        with suppress(EOFError, OSError):
            while self.ending is None and self.pipe.poll():
                message = self.pipe.recv()
                self.heard_at = monotonic
                if isinstance(message, Over):
                    self.ending, self.in_order, self.stays = message.ending, True, message.stays
                    message = message.rest
                messages.append(message)
            return messages
        self.ending = self.ending or DIED
        return messages

    def is_overdue(self, monotonic: float) -> bool:
        """Tell whether the child must be given up."""
        return monotonic - self.heard_at > self.patience_seconds

    def is_gone(self) -> bool:
        """Tell whether a child that has nothing to do, and so nothing to say, has ended."""
        return self.pipe.poll()

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

    def close(self) -> None:
        """End the process, which has nothing to do, and collect it."""
        self.pipe.close()
        self.process.join(timeout=5)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        self.process.close()


def _bound_sends(pipe: Connection) -> None:
    """Let no child that has stopped reading hold us, and with us all other destinations."""
    with socket.socket(fileno=os.dup(pipe.fileno())) as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 10, 0))


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
