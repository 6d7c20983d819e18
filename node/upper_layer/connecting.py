"""Opening an association: connect, TLS, A-ASSOCIATE-RQ and its answer (PS3.8 7.1)."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Sequence

from node.upper_layer.agreement import Negotiated, Proposal
from node.upper_layer.codec import decode_accept, encode_abort, encode_request
from node.upper_layer.deadlines import Deadlines
from node.upper_layer.errors import (
    AssociationRejected,
    ConnectionFailed,
    HandshakeFailed,
    PeerAborted,
    ProtocolViolated,
    UpperLayerError,
)
from node.upper_layer.incoming import PDU_HEADER
from node.upper_layer.requestor import RequestedAssociation
from node.upper_layer.states import EXPECTED, MAX_ASSOCIATE_BYTES, SHORT_BYTES, Pdu, State
from node.upper_layer.wire import Wire


def open_association(
    host: str,
    port: int,
    calling: str,
    called: str,
    contexts: Sequence[Proposal],
    deadlines: Deadlines = Deadlines(),  # noqa: B008 -- frozen
    tls: ssl.SSLContext | None = None,
    max_pdu_length: int = 262144,
) -> RequestedAssociation:
    """Open an association. An acceptor that takes no context still gives one: look at `contexts`.

    Raises ConnectionFailed, HandshakeFailed, AssociationRejected, PeerAborted, PeerTimedOut,
    ConnectionLost, ProtocolViolated.
    """
    sock = _connect(host, port, deadlines, tls)
    wire = Wire(sock, 2 * max(max_pdu_length + 6, MAX_ASSOCIATE_BYTES + 6))
    try:
        request = encode_request(calling, called, contexts, max_pdu_length)
        wire.send([request], deadlines.write, "to take our request")
        negotiated = _answer(wire, contexts, deadlines)
    except BaseException as error:
        if isinstance(error, ProtocolViolated):
            with contextlib.suppress(UpperLayerError):
                wire.send([encode_abort(error.reason)], deadlines.release, "the abort")
        wire.close()
        raise
    return RequestedAssociation(wire, negotiated, calling, called, max_pdu_length, deadlines)


def _connect(
    host: str, port: int, deadlines: Deadlines, tls: ssl.SSLContext | None
) -> socket.socket:
    try:
        sock = socket.create_connection((host, port), deadlines.connect)
    except (OSError, UnicodeError) as error:  # a host that is no name, such as `a..b`
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ConnectionFailed(f"no connection to the peer: {reason}") from None
    if tls is None:
        return sock
    try:
        sock.settimeout(deadlines.connect)
        return tls.wrap_socket(sock, server_hostname=host)
    except (OSError, ValueError) as error:
        sock.close()
        reason = getattr(error, "verify_message", "") or type(error).__name__
        raise HandshakeFailed(f"the TLS handshake failed: {reason}") from None


def _answer(wire: Wire, contexts: Sequence[Proposal], deadlines: Deadlines) -> Negotiated:
    deadline = time.monotonic() + deadlines.associate
    step = "the answer to our association request"
    wire.fill(6, deadline, step)
    kind, length = PDU_HEADER.unpack_from(wire.view, wire.start)
    if kind not in EXPECTED[State.AWAITING_ANSWER]:
        raise ProtocolViolated("the peer answered our association request with another PDU")
    if length > (MAX_ASSOCIATE_BYTES if kind == Pdu.A_ASSOCIATE_AC else SHORT_BYTES):
        raise ProtocolViolated("the answer to our association request is too long")
    wire.fill(6 + length, deadline, step)
    pdu = bytes(wire.take(6 + length))
    if kind == Pdu.A_ASSOCIATE_AC:
        return decode_accept(pdu, contexts)
    if length != SHORT_BYTES:
        raise ProtocolViolated("the answer to our association request is too short")
    if kind == Pdu.A_ASSOCIATE_RJ:
        raise AssociationRejected(*pdu[-3:])
    raise PeerAborted(*pdu[-2:])
