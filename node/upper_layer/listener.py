"""The listening port: a thread that accepts, and a thread for each connection.

A pynetdicom AE builds it by its documented hook, `AE.make_server(server_class=...)`, and keeps AE
title, supported contexts and TLS context; nothing of pynetdicom's own server or reactor runs.
"""

from __future__ import annotations

import contextlib
import contextvars
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from pynetdicom import AE
from pynetdicom.presentation import PresentationContext

from node.observe import exception_facts
from node.upper_layer.acceptor import Connection
from node.upper_layer.agreement import Supported
from node.upper_layer.codec import prepare
from node.upper_layer.deadlines import Deadlines
from node.upper_layer.errors import UpperLayerError

log = structlog.get_logger()

Serve = Callable[[Connection], None]

#: Connections that may be between connect and A-ASSOCIATE-AC at a time; beyond, the oldest of the
#: busiest address goes, so that a peer which speaks at once always finds a place.
MAX_WAITING = 256
_BACKLOG = 1024
_OUT_OF_DESCRIPTORS_SECONDS = 0.05
#: Where descriptors run out, a connection is given this long to say something.
_GRACE_SECONDS = 1.0
_DRAIN_TICK_SECONDS = 0.02
_AFTER_CUT_SECONDS = 3.0


class Listener:
    """One listening port. The arguments up to `ssl_context` are those of AE.make_server."""

    def __init__(
        self,
        ae: AE,
        address: tuple[str, int],
        ae_title: str,
        contexts: list[PresentationContext],
        ssl_context: ssl.SSLContext | None = None,
        *,
        evt_handlers: Sequence[Any] = (),
        serve: Serve,
        deadlines: Deadlines,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        if evt_handlers:
            raise ValueError("this listener triggers no pynetdicom events; give it `serve`")
        self.ae_title = ae_title
        self._max_pdu = ae.maximum_pdu_size
        self._supported = tuple(
            Supported(
                str(context.abstract_syntax),
                tuple(map(str, context.transfer_syntax)),
                context.scu_role,
                context.scp_role,
            )
            for context in contexts
        )
        prepare(self._supported)
        self._tls = ssl_context
        self._serve = serve
        self._deadlines = deadlines
        self._max_waiting = max_waiting
        self._connections: set[Connection] = set()
        self._lock = threading.Lock()
        self._closing = False
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._sock = socket.create_server(address, family=family, backlog=_BACKLOG)
        #: The port, also where 0 asked for any.
        self.port: int = self._sock.getsockname()[1]
        self._thread = threading.Thread(name="listener", daemon=True)

    def start(self) -> None:
        """Begin to accept, in a thread of its own that sees the caller's context variables."""
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._accept_all,), name="listener", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Accept no more; what is open goes on."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join()
        self._sock.close()

    def drain(self, seconds: float) -> bool:
        """Close, end what is idle, wait for what is busy, then cut; True if nothing was cut.

        What was cut is given a moment to leave nothing behind.
        """
        deadline = time.monotonic() + seconds
        self.close()
        while self.connections and time.monotonic() < deadline:
            for connection in self._open():
                connection.interrupt()
            time.sleep(_DRAIN_TICK_SECONDS)
        left = self._open()
        for connection in left:
            connection.cut()
        deadline = time.monotonic() + _AFTER_CUT_SECONDS
        while self.connections and time.monotonic() < deadline:
            time.sleep(_DRAIN_TICK_SECONDS)
        return not left

    @property
    def connections(self) -> int:
        """How many connections are open, with an association or on the way to one."""
        return len(self._connections)

    def _open(self) -> list[Connection]:
        with self._lock:
            return list(self._connections)

    def _accept_all(self) -> None:
        while not self._closing:
            try:
                sock, address = self._sock.accept()
            except OSError:
                if not self._closing:  # no descriptor left, or the peer is gone already
                    self._make_room(0, _GRACE_SECONDS)
                    time.sleep(_OUT_OF_DESCRIPTORS_SECONDS)
                continue
            self._make_room(self._max_waiting, 0)
            connection = Connection(
                sock, address[0], self._supported, self._max_pdu, self._deadlines, self._tls
            )
            with self._lock:
                self._connections.add(connection)
            context = contextvars.copy_context()
            threading.Thread(
                target=context.run, args=(self._run, connection), name="association", daemon=True
            ).start()

    def _run(self, connection: Connection) -> None:
        try:
            with contextlib.suppress(UpperLayerError):
                self._serve(connection)
        except Exception as error:  # noqa: BLE001 -- a mistake of ours ends this connection only
            log.error("association_aborted", **exception_facts(error))  # noqa: TRY400 -- no exception text
        finally:
            connection.close()
            with self._lock:
                self._connections.discard(connection)

    def _make_room(self, limit: int, age: float) -> None:
        """Cut the oldest waiting connection of the address that has most, if too many wait."""
        youngest = time.monotonic() - age
        waiting = [
            connection
            for connection in self._open()
            if connection.association is None
            and not connection.is_cut
            and connection.began <= youngest
        ]
        if not waiting or len(waiting) < limit:
            return
        busiest, _ = Counter(connection.address for connection in waiting).most_common(1)[0]
        oldest = min(
            (connection for connection in waiting if connection.address == busiest),
            key=lambda connection: connection.began,
        )
        oldest.cut()


def open_listener(
    ae_title: str,
    host: str,
    port: int,
    contexts: Sequence[Supported],
    serve: Serve,
    tls: ssl.SSLContext | None = None,
    deadlines: Deadlines = Deadlines(),  # noqa: B008 -- frozen
    max_pdu_length: int = 262144,
    max_waiting: int = MAX_WAITING,
) -> Listener:
    """Open a listening port; OSError where it is taken or not ours to open."""
    ae = AE(ae_title=ae_title)
    ae.maximum_pdu_size = max_pdu_length
    for entry in contexts:
        ae.add_supported_context(
            entry.abstract_syntax, list(entry.transfer_syntaxes), entry.scu_role, entry.scp_role
        )
    listener: Listener = ae.make_server(  # type: ignore[assignment]  # it gives the class it was given
        (host, port),
        ssl_context=tls,
        server_class=Listener,
        serve=serve,
        deadlines=deadlines,
        max_waiting=max_waiting,
    )
    return listener
