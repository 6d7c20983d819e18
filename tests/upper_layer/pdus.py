"""PDUs written by hand, so that a mistake of the codec cannot hide in its own test (PS3.8 9.3)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

#: (context id, abstract syntax, transfer syntaxes)
ContextItem = tuple[int, str, Sequence[str]]
PROPOSED: tuple[ContextItem, ...] = ((1, VERIFICATION, (IMPLICIT,)), (3, CT, (EXPLICIT,)))

COMMAND, LAST = 1, 2


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    """Give a PDU; `length` lets its header lie."""
    return struct.pack(">BBI", kind, 0, len(body) if length is None else length) + body


def item(kind: int, body: bytes, length: int | None = None) -> bytes:
    """Give an item or sub-item."""
    return struct.pack(">BBH", kind, 0, len(body) if length is None else length) + body


def associate_rq(
    contexts: Sequence[ContextItem] = PROPOSED,
    calling: bytes = b"CT1",
    called: bytes = b"DEIDNODE",
    max_pdu: int = 16384,
    version: int = 1,
    application_context: bytes = APPLICATION_CONTEXT,
    more_user_items: bytes = b"",
) -> bytes:
    """Give an A-ASSOCIATE-RQ (PS3.8 Table 9-11)."""
    user = item(0x51, struct.pack(">I", max_pdu)) + item(0x52, b"1.2.3.4") + more_user_items
    body = struct.pack(">H2x", version) + called.ljust(16) + calling.ljust(16) + bytes(32)
    body += item(0x10, application_context)
    for context_id, abstract, syntaxes in contexts:
        names = item(0x30, abstract.encode())
        names += b"".join(item(0x40, syntax.encode()) for syntax in syntaxes)
        body += item(0x20, struct.pack(">BBBB", context_id, 0, 0, 0) + names)
    return pdu(1, body + item(0x50, user))


def role_selection(sop_class: str, scu: int, scp: int) -> bytes:
    """Give a role selection sub-item (PS3.7 Table D.3-9)."""
    uid = sop_class.encode()
    return item(0x54, struct.pack(">H", len(uid)) + uid + bytes((scu, scp)))


def p_data(*pdvs: tuple[int, int, bytes]) -> bytes:
    """Give a P-DATA-TF of (context id, control header, data)."""
    body = b"".join(
        struct.pack(">IBB", len(data) + 2, context_id, control) + data
        for context_id, control, data in pdvs
    )
    return pdu(4, body)


def command(*elements: tuple[int, bytes]) -> bytes:
    """Give a command set of (element number, value)."""
    body = b"".join(struct.pack("<HHI", 0, tag, len(value)) + value for tag, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def us(value: int) -> bytes:
    """Give a US value."""
    return struct.pack("<H", value)


def ui(value: str) -> bytes:
    """Give a padded UI value."""
    return value.encode() + b"\0" * (len(value) % 2)


def c_echo_rq(message_id: int = 1) -> bytes:
    """Give a C-ECHO-RQ's command set."""
    return command(
        (0x0002, ui(VERIFICATION)),
        (0x0100, us(0x30)),
        (0x0110, us(message_id)),
        (0x0800, us(0x101)),
    )


def c_store_rq(sop_instance: str = "1.2.3", message_id: int = 1, sop_class: str = CT) -> bytes:
    """Give a C-STORE-RQ's command set."""
    return command(
        (0x0002, ui(sop_class)), (0x0100, us(0x01)), (0x0110, us(message_id)),
        (0x0700, us(0)), (0x0800, us(1)), (0x1000, ui(sop_instance)),
    )  # fmt: skip


RELEASE_RQ = pdu(5, bytes(4))
RELEASE_RP = pdu(6, bytes(4))
ABORT = pdu(7, bytes(4))


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Give two connected TCP sockets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    near.settimeout(100)
    return near, far


def read_pdu(sock: socket.socket) -> tuple[int, bytes]:
    """Read one PDU: its type and payload; type 0 when the peer closed."""
    header = _read(sock, 6)
    if len(header) < 6:
        return 0, b""
    kind, length = struct.unpack(">BxI", header)
    return kind, _read(sock, length)


def _read(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        try:
            chunk = sock.recv(count - len(data))
        except ConnectionResetError:
            break
        if not chunk:
            break
        data += chunk
    return data
