"""One association of a PACS that misbehaves to order; see tests/forward/faulty_pacs.py."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.forward.faults import REJECTS, WARNINGS, Fault
from tests.forward.pdus import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    APPLICATION_CONTEXT,
    C_STORE_RQ,
    IMPLICIT,
    P_DATA_TF,
    STORAGE_COMMITMENT,
    command,
    command_fields,
    even,
    item,
    items,
    pdu,
    pdvs,
    us,
)

if TYPE_CHECKING:
    from tests.forward.faulty_pacs import FaultyPacs


class Closed(Exception):  # noqa: N818 -- the peer's end, not an error of the test
    """The peer closed the connection, or we do."""


@dataclass(slots=True)
class Peer:
    """One association."""

    pacs: FaultyPacs
    connection: socket.socket
    contexts: dict[int, tuple[str, str]] = field(default_factory=dict)

    def serve(self) -> None:
        """Serve until either side ends it."""
        kind, body = self.read_pdu()
        if kind != A_ASSOCIATE_RQ:
            raise Closed
        with self.pacs.lock:
            self.pacs.calling.add(body[20:36].decode().strip())
        if self.pacs.open_now > self.pacs.max_associations:
            self.send_pdu(
                A_ASSOCIATE_RJ, bytes([0, 2, 3, 2])
            )  # transient, presentation, local limit exceeded
            raise Closed
        self.negotiate(body)
        while True:
            kind, body = self.read_pdu()
            if kind == A_RELEASE_RQ:
                with self.pacs.lock:
                    self.pacs.released += 1
                self.send_pdu(A_RELEASE_RP, bytes(4))
                return
            if kind == A_ABORT:
                return
            self.message(body)

    # -- association

    def negotiate(self, body: bytes) -> None:
        """Answer the A-ASSOCIATE-RQ, or do what the fault says."""
        fault = self.pacs.next_fault(self.pacs.association_faults)
        if fault in REJECTS:
            self.send_pdu(A_ASSOCIATE_RJ, bytes([0, *REJECTS[Fault(fault)]]))
            raise Closed
        match fault:
            case Fault.ABORT_ASSOCIATE:
                self.send_pdu(A_ABORT, bytes([0, 0, 2, 0]))
                raise Closed
            case Fault.CLOSE_ASSOCIATE:
                raise Closed
            case Fault.ACCEPT_SILENCE:
                self.hang()
        answer = self.accept(body, refuse=fault is Fault.REFUSE_SYNTAXES)
        if fault is Fault.HALF_ACCEPT:
            self.connection.sendall(answer[: len(answer) // 2])
            raise Closed
        self.connection.sendall(answer)

    def accept(self, body: bytes, *, refuse: bool) -> bytes:
        """Give the A-ASSOCIATE-AC (PS3.8 9.3.3): each context with its first syntax."""
        answers = item(0x10, APPLICATION_CONTEXT.encode())
        for kind, value in items(body[68:]):
            if kind != 0x20:
                continue
            number = value[0]
            syntaxes = [uid.decode() for sub, uid in items(value[4:]) if sub == 0x40]
            (abstract,) = [uid.decode() for sub, uid in items(value[4:]) if sub == 0x30]
            result, syntax = 0, syntaxes[0]
            if abstract in self.pacs.poison_classes:
                raise Closed
            if abstract == STORAGE_COMMITMENT:
                syntax = IMPLICIT  # as tests/forward/committing.py speaks
            if abstract in self.pacs.refused_classes or (
                abstract == STORAGE_COMMITMENT and self.pacs.commitment is None
            ):
                result = 3
            elif refuse or all(each in self.pacs.refused_syntaxes for each in syntaxes):
                result = 4
            else:
                self.contexts[number] = (abstract, syntax)
            inner = bytes([number, 0, result, 0]) + item(0x40, syntax.encode())
            answers += item(0x21, inner)
        user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3.4")
        answers += item(0x50, user)
        return pdu(A_ASSOCIATE_AC, struct.pack(">HH", 1, 0) + body[4:36] + bytes(32) + answers)

    # -- messages

    def message(self, first: bytes) -> None:
        """Read a message whose first P-DATA-TF is here, and do what it asks."""
        fields, dataset, fault = self.read_message(first)
        match us(fields, 0x0100):
            case 0x0001:
                self.stored(first[4], fields, dataset, fault)
            case 0x0030:
                self.echo(first[4], fields)
            case 0x0130:
                assert self.pacs.commitment is not None
                self.pacs.commitment.asked(self, first[4], fields, dataset)

    def read_message(self, body: bytes) -> tuple[dict[int, bytes], bytes, Fault | int]:
        """Read to the end of a message, unless the fault of its C-STORE comes in between."""
        encoded, dataset = bytearray(), bytearray()
        fields: dict[int, bytes] = {}
        fault: Fault | int = Fault.NONE
        while True:
            for control, data in pdvs(body):
                (encoded if control & 1 else dataset).extend(data)
                if control == 3:
                    fields = command_fields(bytes(encoded))
                    if us(fields, 0x0100) == C_STORE_RQ:
                        fault = self.pacs.next_fault(self.pacs.store_faults)
                if control == 2 or (control == 3 and us(fields, 0x0800) == 0x0101):
                    return fields, bytes(dataset), fault
            self.midway(fault)
            kind, body = self.read_pdu()
            if kind != P_DATA_TF:
                raise Closed

    def midway(self, fault: Fault | int) -> None:
        """Do what a fault does in the middle of a data set."""
        match fault:
            case Fault.DROP_MIDWAY:
                raise Closed
            case Fault.RESET_MIDWAY:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                raise Closed
            case Fault.STOP_READING:
                self.hang()

    def stored(
        self, context: int, fields: dict[int, bytes], dataset: bytes, fault: Fault | int
    ) -> None:
        """Store an instance and answer, or do what the fault says."""
        uid = fields[0x1000].rstrip(b"\0").decode()
        message_id = us(fields, 0x0110)
        with self.pacs.lock:
            self.pacs.asked[uid] += 1
        status = fault if isinstance(fault, int) else 0
        self.midway(fault)  # a data set in one PDU has no middle: then it is the end
        if fault is Fault.DROP_BEFORE:
            raise Closed
        if fault is Fault.DIE:
            self.pacs.die()
            raise Closed
        if uid in self.pacs.poison:
            self.pacs.at_poison()
            fault = Fault.ABORT_BEFORE
        if fault is Fault.ABORT_BEFORE:
            self.send_pdu(A_ABORT, bytes(4))
            raise Closed
        if self.pacs.refuse_duplicates and uid in self.pacs.held and not status:
            status = 0x0111
        if status == 0 or status in WARNINGS:
            self.pacs.keep(uid, dataset)
        answer = self.answer(context, fields[0x0002], uid, message_id, status)
        if fault is Fault.WRONG_MESSAGE_ID:
            answer = self.answer(context, fields[0x0002], uid, message_id ^ 0x55, status)
        if fault is Fault.WRONG_UID:
            answer = self.answer(context, fields[0x0002], "1.2.3.4.5", message_id, status)
        self.reply(fault, answer)

    def reply(self, fault: Fault | int, answer: bytes) -> None:
        """Send an answer, or what the fault makes of it."""
        match fault:
            case Fault.DROP_AFTER:
                raise Closed
            case Fault.ABORT_AFTER:
                self.send_pdu(A_ABORT, bytes(4))
                raise Closed
            case Fault.SILENT:
                self.hang()
            case Fault.HALF_HEADER:
                self.connection.sendall(answer[:3])
                self.hang()
            case Fault.HALF_ANSWER:
                self.connection.sendall(answer[: len(answer) // 2])
                raise Closed
            case Fault.GARBAGE:
                self.connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                raise Closed
        self.connection.sendall(answer)

    def answer(
        self, context: int, sop_class: bytes, uid: str, message_id: int, status: int
    ) -> bytes:
        """Give a C-STORE-RSP (PS3.7 9.3.1.2)."""
        return command(
            context,
            [
                (0x0002, sop_class), (0x0100, struct.pack("<H", 0x8001)),
                (0x0120, struct.pack("<H", message_id)), (0x0800, struct.pack("<H", 0x0101)),
                (0x0900, struct.pack("<H", status)), (0x1000, even(uid)),
            ],
        )  # fmt: skip

    def echo(self, context: int, fields: dict[int, bytes]) -> None:
        """Answer C-ECHO."""
        self.connection.sendall(
            command(
                context,
                [
                    (0x0002, fields[0x0002]), (0x0100, struct.pack("<H", 0x8030)),
                    (0x0120, fields[0x0110]), (0x0800, struct.pack("<H", 0x0101)),
                    (0x0900, struct.pack("<H", 0)),
                ],
            )
        )  # fmt: skip

    # -- bytes

    def hang(self) -> None:
        """Say and read nothing, until the other side or the test ends it."""
        while self.connection.fileno() >= 0 and not self.pacs._closing:
            poll = self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
            if poll[0] != 1:  # no longer ESTABLISHED
                break
            time.sleep(0.02)
        raise Closed

    def read_pdu(self) -> tuple[int, bytes]:
        """Read a PDU: its type and its body."""
        kind, length = struct.unpack(">BxI", self.read(6))
        return kind, self.read(length)

    def read(self, count: int) -> bytes:
        """Read so many bytes, as slowly as this PACS is."""
        data = b""
        while len(data) < count:
            some = count - len(data)
            if self.pacs.bytes_per_second:
                some = min(some, max(self.pacs.bytes_per_second // 10, 1))
                time.sleep(some / self.pacs.bytes_per_second)
            piece = self.connection.recv(some)
            if not piece:
                raise Closed
            data += piece
        return data

    def send_pdu(self, kind: int, body: bytes) -> None:
        """Send a PDU."""
        self.connection.sendall(pdu(kind, body))
