"""A socket with a deadline on every step and one buffer that is used again and again.

Bytes are received into the buffer as they come, whole PDUs are looked at in place. TCP_NODELAY and
TCP_QUICKACK (armed again at each receive) keep a peer that writes a PDU in two pieces from waiting
40 ms for our acknowledgement (Nagle's algorithm against delayed acknowledgement).

The kernel's own timeouts (SO_RCVTIMEO, SO_SNDTIMEO) keep the deadlines: Python's would cost two
more system calls at each step, and after each of them a thread may have to wait for the others.
"""

from __future__ import annotations

import contextlib
import mmap
import select
import socket
import ssl
import struct
import time
from collections.abc import Sequence

from node.upper_layer.errors import ConnectionLost, PeerTimedOut

Buffer = bytes | bytearray | memoryview | mmap.mmap

#: In seconds; the kernel takes 0 for no timeout.
_SHORTEST_TIMEOUT = 0.001
#: At most this many pieces in one sendmsg (Linux: UIO_MAXIOV).
_MOST_PIECES = 1024


class Wire:
    """One connected socket. Belongs to one thread, except for `cut` and `interrupt`."""

    def __init__(self, sock: socket.socket, capacity: int) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._tls = isinstance(sock, ssl.SSLSocket)
        if not self._tls:
            sock.settimeout(None)
        #: The kernel's timeouts as they are set, in seconds; 0: none.
        self._timeouts = {socket.SO_RCVTIMEO: 0.0, socket.SO_SNDTIMEO: 0.0}
        self._capacity = capacity
        # Anonymous memory: pages that no byte was received into cost nothing.
        self._memory = mmap.mmap(-1, capacity)
        self.view = memoryview(self._memory)
        self.start = 0
        self._end = 0

    def fill(self, count: int, deadline: float, step: str) -> None:
        """Receive until `count` bytes stand at `start` (at most the capacity).

        `deadline` is a moment of time.monotonic(). Raises PeerTimedOut, ConnectionLost.
        """
        if self._end - self.start >= count:
            return
        if self.start == self._end:
            self.start = self._end = 0
        elif self.start + count > self._capacity:
            waiting = self._end - self.start
            self._memory.move(0, self.start, waiting)
            self.start, self._end = 0, waiting
        sock, view = self._sock, self.view
        try:
            while self._end - self.start < count:
                self._keep(deadline, socket.SO_RCVTIMEO)
                try:
                    received = sock.recv_into(view[self._end :])
                except BlockingIOError:
                    continue  # the kernel's timeout is over: is the deadline?
                if received == 0:
                    raise ConnectionLost("the peer closed the connection")
                self._end += received
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except TimeoutError:
            raise PeerTimedOut(step) from None
        except OSError:
            raise ConnectionLost("the connection broke while receiving") from None

    @property
    def filled(self) -> int:
        """How many bytes stand at `start` now."""
        return self._end - self.start

    def take(self, count: int) -> memoryview:
        """Step over `count` filled bytes and show them; valid until the next fill."""
        start = self.start
        self.start = start + count
        return self.view[start : start + count]

    def send(self, pieces: Sequence[Buffer], seconds: float, step: str) -> None:
        """Send all the pieces; one system call where the peer's window allows it."""
        deadline = time.monotonic() + seconds
        try:
            if self._tls:
                self._sock.settimeout(seconds)
                self._sock.sendall(b"".join(pieces))
            else:
                self._send_pieces(list(pieces), deadline)
        except TimeoutError:
            raise PeerTimedOut(step) from None
        except OSError:
            raise ConnectionLost("the connection broke while sending") from None

    def _send_pieces(self, pieces: list[Buffer], deadline: float) -> None:
        first = 0
        while first < len(pieces):
            self._keep(deadline, socket.SO_SNDTIMEO)
            try:
                sent = self._sock.sendmsg(pieces[first : first + _MOST_PIECES])
            except BlockingIOError:
                continue
            while first < len(pieces) and sent >= len(pieces[first]):
                sent -= len(pieces[first])
                first += 1
            if sent:
                pieces[first] = memoryview(pieces[first])[sent:]

    def is_quiet(self) -> bool:
        """Tell whether nothing was received that was not looked at, not even an end."""
        if self.start != self._end or (
            isinstance(self._sock, ssl.SSLSocket) and self._sock.pending()
        ):
            return False
        waiting = select.poll()
        waiting.register(self._sock, select.POLLIN | select.POLLRDHUP)
        return not waiting.poll(0)

    def _keep(self, deadline: float, which: int) -> None:
        """Let the step that follows end by the deadline, or somewhat before it; TimeoutError after.

        The kernel is told again only where what it was told is no longer near: a step that ends
        early looks at the clock and goes on.
        """
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if self._tls:
            self._sock.settimeout(left)  # OpenSSL takes no notice of the kernel's
        elif not left / 4 < self._timeouts[which] <= left:
            seconds = self._timeouts[which] = max(left / 2, _SHORTEST_TIMEOUT)
            value = struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
            self._sock.setsockopt(socket.SOL_SOCKET, which, value)

    def interrupt(self) -> None:
        """From another thread: let a waiting receive end; what is sent still goes out."""
        self._shut(socket.SHUT_RD)

    def cut(self) -> None:
        """From another thread: end every receive and send at once."""
        self._shut(socket.SHUT_RDWR)

    def _shut(self, how: int) -> None:
        # Not SSLSocket's own shutdown, which would let the owner go on in clear text.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, how)

    def close(self, linger_seconds: float = 0) -> None:
        """Close; with a linger, first say so and let the peer read what we sent (PS3.8 ARTIM)."""
        deadline = time.monotonic() + linger_seconds
        with contextlib.suppress(OSError):
            if linger_seconds > 0:
                self._sock.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                self._sock.settimeout(left)
                if self._sock.recv_into(self.view) == 0:
                    break
        with contextlib.suppress(OSError):  # whatever it says, it is closed: close(2)
            self._sock.close()
