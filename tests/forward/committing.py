"""How a PACS of the tests commits: at once, later on an association of its own, never, in part."""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from tests.forward.faulty_pacs import FaultyPacs
from tests.forward.faulty_peer import Peer
from tests.forward.pdus import (
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RQ,
    A_RELEASE_RQ,
    APPLICATION_CONTEXT,
    P_DATA_TF,
    STORAGE_COMMITMENT,
    command,
    command_fields,
    even,
    item,
    pdu,
)

IMPLICIT = "1.2.840.10008.1.2"
INSTANCE = "1.2.840.10008.1.20.1.1"

_UID = STORAGE_COMMITMENT.encode()
#: We are no SCU and are SCP (PS3.7 D.3.3.4): as it is asked for, so it must be granted.
_ROLE = item(0x54, struct.pack(">H", len(_UID)) + _UID + bytes([0, 1]))


class Way(StrEnum):
    """When and where the result is reported."""

    SAME = "on the association that asked"
    NEW = "on an association of its own"
    NEVER = "not at all"
    DECLINE = "by a failure status"


@dataclass(slots=True)
class Committing:
    """Commits to what it is asked for, but for what `fail` names (once each)."""

    way: Way
    #: Where results go, and under which titles.
    port: int = 0
    calling: str = "PACS"
    called: str = "DEIDNODE"
    fail: dict[str, int] = field(default_factory=dict)
    #: So many requests are answered with a processing failure first.
    busy: int = 0
    transactions: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    #: A PACS that reports something else than it was asked, by replacing the transaction.
    transaction: str = ""

    def asked(self, peer: Peer, context: int, fields: dict[int, bytes], dataset: bytes) -> None:
        """Answer N-ACTION, and report."""
        action = read_dataset(BytesIO(dataset), is_implicit_VR=True, is_little_endian=True)
        self.transactions.append(str(action.TransactionUID))
        status = 0x0122 if self.way is Way.DECLINE else 0
        if self.busy:
            self.busy -= 1
            status = 0x0110
        peer.connection.sendall(
            command(
                context,
                [
                    (0x0002, even(STORAGE_COMMITMENT)), (0x0100, struct.pack("<H", 0x8130)),
                    (0x0120, fields[0x0110]), (0x0800, struct.pack("<H", 0x0101)),
                    (0x0900, struct.pack("<H", status)), (0x1000, even(INSTANCE)),
                    (0x1008, struct.pack("<H", 1)),
                ],
            )
        )  # fmt: skip
        if status:
            return
        if self.way is Way.SAME:
            self._report(peer, context, action)
        elif self.way is Way.NEW:
            threading.Thread(target=self._report_anew, args=(action,), daemon=True).start()

    def _report(self, peer: Peer, context: int, action: Dataset) -> None:
        result = Dataset()
        result.TransactionUID = self.transaction or action.TransactionUID
        committed, failed = [], []
        for reference in action.ReferencedSOPSequence:
            reason = self.fail.pop(reference.ReferencedSOPInstanceUID, 0)
            if reason:
                reference.FailureReason = reason
            (failed if reason else committed).append(reference)
        if committed:
            result.ReferencedSOPSequence = committed
        if failed:
            result.FailedSOPSequence = failed
        buffer = DicomBytesIO()
        buffer.is_little_endian = buffer.is_implicit_VR = True
        write_dataset(buffer, result)
        encoded = buffer.getvalue()
        report = [
            (0x0002, even(STORAGE_COMMITMENT)), (0x0100, struct.pack("<H", 0x0100)),
            (0x0110, struct.pack("<H", 7)), (0x0800, struct.pack("<H", 0)),
            (0x1000, even(INSTANCE)), (0x1002, struct.pack("<H", 2 if failed else 1)),
        ]  # fmt: skip
        peer.connection.sendall(command(context, report))
        for start in range(0, len(encoded), 8000):
            part = encoded[start : start + 8000]
            last = 2 if start + len(part) == len(encoded) else 0
            peer.connection.sendall(
                pdu(P_DATA_TF, struct.pack(">IBB", len(part) + 2, context, last) + part)
            )
        kind, body = peer.read_pdu()
        assert kind == P_DATA_TF
        fields = command_fields(body[6:])
        self.statuses.append(struct.unpack("<H", fields[0x0900])[0])

    def _report_anew(self, action: Dataset) -> None:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
                connection.sendall(self._request())
                peer = Peer(FaultyPacs(), connection)
                kind, body = peer.read_pdu()
                if kind != A_ASSOCIATE_AC:
                    self.statuses.append(-kind)
                    return
                assert _ROLE in body, "the role selection was not answered"
                self._report(peer, 1, action)
                connection.sendall(pdu(A_RELEASE_RQ, bytes(4)))
                peer.read_pdu()
        except Exception as error:  # noqa: BLE001 -- the test asks for it
            self.failures.append(error)

    def _request(self) -> bytes:
        """Give an A-ASSOCIATE-RQ that proposes to be SCP (PS3.7 D.3.3.4)."""
        context = bytes([1, 0, 0, 0]) + item(0x30, STORAGE_COMMITMENT.encode())
        user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3.4") + _ROLE
        titles = self.called.ljust(16).encode() + self.calling.ljust(16).encode()
        return pdu(
            A_ASSOCIATE_RQ,
            struct.pack(">HH", 1, 0) + titles + bytes(32)
            + item(0x10, APPLICATION_CONTEXT.encode())
            + item(0x20, context + item(0x40, IMPLICIT.encode())) + item(0x50, user),
        )  # fmt: skip
