"""A PACS that misbehaves to order: a Storage SCP on bare sockets, from PS3.7 and PS3.8 alone.

It shares no code with node.upper_layer, so that both cannot be wrong in the same way. Each C-STORE
takes the next fault of `store_faults`, each association the next of `association_faults`; when
there is none left, it behaves. What it holds is in `held`: SOP Instance UID to data sets.
"""

from __future__ import annotations

import socket
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from tests.forward.faults import Fault
from tests.forward.faulty_peer import Closed, Peer


class Commitment(Protocol):
    """How a PACS answers N-ACTION; see tests/forward/committing.py."""

    def asked(self, peer: Peer, context: int, fields: dict[int, bytes], dataset: bytes) -> None:
        """Answer a request for commitment."""


@dataclass(slots=True)
class FaultyPacs:
    """The PACS, listening on a port of its own."""

    store_faults: deque[Fault | int] = field(default_factory=deque)
    association_faults: deque[Fault] = field(default_factory=deque)
    refused_syntaxes: frozenset[str] = frozenset()
    refused_classes: frozenset[str] = frozenset()
    #: Answer 0111H instead of storing what is held already.
    refuse_duplicates: bool = False
    #: Instances at which it always aborts, and what happens just before.
    poison: set[str] = field(default_factory=set)
    at_poison: Callable[[], None] = lambda: None
    #: SOP classes at whose sight it closes the connection.
    poison_classes: frozenset[str] = frozenset()
    #: How it answers a request for commitment; none: it takes no such context.
    commitment: Commitment | None = None
    bytes_per_second: int = 0
    max_associations: int = 100
    held: dict[str, list[bytes]] = field(default_factory=dict)
    #: How often it was asked to store an instance.
    asked: Counter[str] = field(default_factory=Counter)
    associations: int = 0
    open_now: int = 0
    most_open: int = 0
    #: How many associations were released in order.
    released: int = 0
    faulted: int = 0
    calling: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _listener: socket.socket | None = None
    _sockets: list[socket.socket] = field(default_factory=list)
    _closing: bool = False

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._listener is not None
        return int(self._listener.getsockname()[1])

    def start(self, port: int = 0) -> None:
        """Open the port and serve."""
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", port), reuse_port=False)
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Close the port and every connection, at once."""
        self._closing = True
        assert self._listener is not None
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self.lock:
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
            self._sockets.clear()

    def die(self) -> None:
        """Close everything as a crash does, and be back in a moment with what it holds."""
        with self.lock:
            if self._closing:
                return
            self._closing = True
            port = self.port
        self.stop()
        threading.Timer(0.2, self.start, (port,)).start()

    def _accept(self) -> None:
        listener = self._listener
        assert listener is not None
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self._sockets.append(connection)
                self.associations += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self.lock:
            self.open_now += 1
            self.most_open = max(self.most_open, self.open_now)
        try:
            Peer(self, connection).serve()
        except (Closed, OSError):
            pass
        finally:
            connection.close()
            with self.lock:
                self.open_now -= 1

    def next_fault(self, faults: deque[Fault] | deque[Fault | int]) -> Fault | int:
        """Take the next fault of a list."""
        with self.lock:
            fault = faults.popleft() if faults else Fault.NONE
            self.faulted += fault is not Fault.NONE
            return fault

    def keep(self, uid: str, dataset: bytes) -> None:
        """Hold an instance."""
        with self.lock:
            self.held.setdefault(uid, []).append(dataset)


@contextmanager
def running(pacs: FaultyPacs) -> Iterator[FaultyPacs]:
    """Run a PACS for the length of a test."""
    pacs.start()
    try:
        yield pacs
    finally:
        pacs.stop()
