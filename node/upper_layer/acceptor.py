"""A connection that a peer opened, from its first byte to an association (PS3.8 7.1, accepting)."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import time
from collections.abc import Sequence

from node.upper_layer.agreement import AssociateRequest, Supported
from node.upper_layer.association import Association
from node.upper_layer.codec import accept_request, decode_request, encode_abort, encode_rejection
from node.upper_layer.deadlines import Deadlines
from node.upper_layer.errors import (
    HandshakeFailed,
    PeerAborted,
    PeerTimedOut,
    ProtocolViolated,
    UpperLayerError,
)
from node.upper_layer.incoming import PDU_HEADER
from node.upper_layer.states import (
    EXPECTED,
    MAX_ASSOCIATE_BYTES,
    SHORT_BYTES,
    AbortReason,
    Pdu,
    Rejection,
    State,
)
from node.upper_layer.wire import Wire

_LINGER_SECONDS = 1.0


class Connection:
    """One connection of a peer; served by one thread."""

    def __init__(
        self,
        sock: socket.socket,
        address: str,
        supported: tuple[Supported, ...],
        max_pdu_length: int,
        deadlines: Deadlines,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        #: The peer's IP address.
        self.address = address
        #: The SHA-256 of the peer's certificate in lower-case hex; empty without one.
        self.certificate_sha256 = ""
        self.is_tls = tls is not None
        self.began = time.monotonic()
        self.association: Association | None = None
        #: True once another thread has cut it; its own thread is on its way out.
        self.is_cut = False
        self._sock = sock
        self._supported = supported
        self._max_pdu = max_pdu_length
        self._deadlines = deadlines
        self._tls = tls
        self._wire: Wire | None = None
        self._request: AssociateRequest | None = None

    def read_request(self) -> AssociateRequest:
        """Take the TLS handshake, if any, and the A-ASSOCIATE-RQ, within the deadline for both.

        Raises HandshakeFailed, PeerTimedOut, PeerAborted, ConnectionLost, ProtocolViolated.
        """
        if self._tls is not None:
            self._shake_hands(self._tls)
        wire = self._wire = Wire(self._sock, 2 * max(self._max_pdu + 6, MAX_ASSOCIATE_BYTES + 6))
        try:
            self._request = self._read_request(wire)
        except ProtocolViolated as error:
            self._last_word(encode_abort(error.reason))
            raise
        return self._request

    def accept(self, supported: Sequence[Supported] | None = None) -> Association:
        """Answer A-ASSOCIATE-AC; `supported` takes the place of what the listener was given."""
        if self._wire is None or self._request is None:
            raise RuntimeError("accept() comes after read_request()")
        table = self._supported if supported is None else tuple(supported)
        negotiated, answer = accept_request(self._request, table, self._max_pdu)
        # There before the peer knows of it: who interrupts us from now on ends it in good order.
        self.association = Association(
            self._wire,
            negotiated,
            self._request.calling_ae_title,
            self._request.called_ae_title,
            self._max_pdu,
            self._deadlines,
        )
        self._wire.send([answer], self._deadlines.write, "to take our acceptance")
        return self.association

    def reject(self, rejection: Rejection) -> None:
        """Answer A-ASSOCIATE-RJ and close."""
        self._last_word(encode_rejection(rejection))

    def close(self) -> None:
        """Close whatever is still open; idempotent."""
        if self.association is not None:
            self.association.abort()
        with contextlib.suppress(OSError):  # whatever it says, it is closed: close(2)
            self._sock.close()

    def interrupt(self) -> None:
        """From another thread: end soon, without harm to a message in hand."""
        if self.association is not None:
            self.association.interrupt()
        else:
            self.cut()

    def cut(self) -> None:
        """From another thread: end now."""
        self.is_cut = True
        try:
            # Not SSLSocket's own shutdown, which would let the owner go on in clear text.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        except OSError:
            return

    def _read_request(self, wire: Wire) -> AssociateRequest:
        deadline = self.began + self._deadlines.associate
        wire.fill(6, deadline, "the association request")
        kind, length = PDU_HEADER.unpack_from(wire.view, wire.start)
        if kind not in EXPECTED[State.AWAITING_REQUEST]:
            raise ProtocolViolated("no association request", AbortReason.UNEXPECTED_PDU)
        if length > (MAX_ASSOCIATE_BYTES if kind == Pdu.A_ASSOCIATE_RQ else SHORT_BYTES):
            raise ProtocolViolated("the association request is too long")
        wire.fill(6 + length, deadline, "the association request")
        pdu = bytes(wire.take(6 + length))
        if kind == Pdu.A_ABORT:
            raise PeerAborted(*pdu[-2:])
        return decode_request(pdu)

    def _shake_hands(self, tls: ssl.SSLContext) -> None:
        try:
            self._sock.settimeout(self._deadlines.connect)
            wrapped = tls.wrap_socket(self._sock, server_side=True, do_handshake_on_connect=False)
            self._sock = wrapped
            wrapped.do_handshake()
            certificate = wrapped.getpeercert(binary_form=True)
        except TimeoutError:
            raise PeerTimedOut("the TLS handshake") from None
        except (OSError, ValueError):
            raise HandshakeFailed("the TLS handshake failed") from None
        if certificate:
            self.certificate_sha256 = hashlib.sha256(certificate).hexdigest()

    def _last_word(self, pdu: bytes) -> None:
        if self._wire is None:
            raise RuntimeError("an answer comes after read_request()")
        try:
            self._wire.send([pdu], _LINGER_SECONDS, "to take our answer")
        except UpperLayerError:
            self._wire.close()
        else:
            self._wire.close(_LINGER_SECONDS)
