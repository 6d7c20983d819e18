"""Sessions of PDUs that a peer should not send, built from good ones by seed (PS3.8 9.3)."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from tests.upper_layer import pdus
from tests.upper_layer.pdus import ABORT, COMMAND, CT, EXPLICIT, IMPLICIT, LAST, VERIFICATION

_IMAGE = 3
_AE_TITLES = (b"CT1", b"A\r\nB", b"\x1b[31m", b"\0\0\0", b"\xff" * 16, b" " * 16, b"%s%n", b"")
_LENGTHS = (0, 1, 3, 5, 0x7FFFFFFF, 0xFFFFFFFF, 0x40000, 0x40001)
_UIDS = ("", "../../etc/passwd", "1" * 65, "1.2\0.3", "1..2", "'; DROP", VERIFICATION, CT)
_CONTEXTS = 128


class Fuzzer:
    """An endless source of sessions; each is the PDUs of one connection."""

    def __init__(self, seed: int, dataset: bytes) -> None:
        self._chance = random.Random(seed)
        self._dataset = dataset
        self._kinds: tuple[Callable[[], list[bytes]], ...] = (
            self._shuffled, self._odd_request, self._lying_length, self._odd_pdvs, self._bits,
            self._pipelined, self._odd_command, self._cut_short, self._noise, self._endless,
        )  # fmt: skip

    def session(self) -> list[bytes]:
        """Give the PDUs of the next connection."""
        return self._chance.choice(self._kinds)()

    def _good(self) -> list[bytes]:
        dataset = self._dataset
        cut = self._chance.randrange(0, len(dataset), 2)
        return [
            pdus.associate_rq(),
            pdus.p_data((1, COMMAND | LAST, pdus.c_echo_rq())),
            pdus.p_data((_IMAGE, COMMAND | LAST, pdus.c_store_rq("1.2.3.4"))),
            pdus.p_data((_IMAGE, 0, dataset[:cut])),
            pdus.p_data((_IMAGE, LAST, dataset[cut:])),
            pdus.RELEASE_RQ,
        ]

    def _shuffled(self) -> list[bytes]:
        """PDUs out of their state: swapped, repeated, left out, of the other side."""
        chance = self._chance
        session = self._good() + chance.sample([ABORT, pdus.RELEASE_RP, pdus.pdu(2, bytes(68))], 1)
        kept = session[: chance.choice((0, 1))]
        rest = session[len(kept) :]
        chance.shuffle(rest)
        return kept + rest[: chance.randint(1, len(rest))] + chance.choices(session, k=2)

    def _odd_request(self) -> list[bytes]:
        """Give an A-ASSOCIATE-RQ with things wrong, and what would follow it."""
        chance = self._chance
        count = chance.choice((0, 1, 2, _CONTEXTS, 255))
        contexts = [
            (
                chance.choice((n % 256, 2 * n % 256 | 1, 1)),
                chance.choice((CT, VERIFICATION, *_UIDS)),
                [chance.choice((EXPLICIT, IMPLICIT, *_UIDS))] * chance.choice((0, 1, 1, 9)),
            )
            for n in range(count)
        ]
        user = b"".join(
            pdus.item(
                chance.choice((0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x51, 0xFF)),
                chance.randbytes(chance.choice((0, 1, 4, 40))),
                chance.choice((None, None, 0, 0xFFFF)),
            )
            for _ in range(chance.choice((0, 1, 3, 2000)))
        )
        request = pdus.associate_rq(
            contexts, chance.choice(_AE_TITLES), chance.choice(_AE_TITLES),
            chance.choice((0, 1, 6, 7, 16384, 0xFFFFFFFF)), chance.choice((0, 1, 0xFFFF)),
            chance.choice((pdus.APPLICATION_CONTEXT, b"", b"1.2", b"\xff")), user,
        )  # fmt: skip
        return [request, *self._good()[1:]]

    def _lying_length(self) -> list[bytes]:
        session = self._good()
        at = self._chance.randrange(len(session))
        lie = struct.pack(">I", self._chance.choice(_LENGTHS))
        session[at] = session[at][:2] + lie + session[at][6:]
        return session

    def _odd_pdvs(self) -> list[bytes]:
        chance = self._chance
        pdvs = [
            struct.pack(
                ">IBB",
                chance.choice((0, 1, 2, 6, 0xFFFF, 0xFFFFFFFF)),
                chance.choice((0, 1, 3, 5, 255)),
                chance.randrange(256),
            )
            + chance.randbytes(4)
            for _ in range(chance.choice((1, 2, 500)))
        ]
        return [pdus.associate_rq(), pdus.pdu(4, b"".join(pdvs)), pdus.RELEASE_RQ]

    def _bits(self) -> list[bytes]:
        """Change a few bytes of a good session, anywhere."""
        session = self._good()
        for _ in range(self._chance.randint(1, 4)):
            at = self._chance.randrange(len(session))
            damaged = bytearray(session[at])
            damaged[self._chance.randrange(len(damaged))] = self._chance.randrange(256)
            session[at] = bytes(damaged)
        return session

    def _pipelined(self) -> list[bytes]:
        """Many messages without waiting for an answer, and cancels that cancel nothing."""
        cancel = pdus.command(
            (0x0100, pdus.us(0xFFF)), (0x0120, pdus.us(1)), (0x0800, pdus.us(0x101))
        )
        messages = [pdus.p_data((1, COMMAND | LAST, pdus.c_echo_rq(n))) for n in range(50)] + [
            pdus.p_data((1, COMMAND | LAST, cancel))
        ] * 50
        self._chance.shuffle(messages)
        return [pdus.associate_rq(), b"".join(messages), pdus.RELEASE_RQ]

    def _odd_command(self) -> list[bytes]:
        chance = self._chance
        elements = [
            (0x0002, pdus.ui(chance.choice((CT, *_UIDS)))),
            (0x0100, pdus.us(chance.choice((0x01, 0x8001, 0x20, 0x30, 0x130, 0x100, 0xFFFF)))),
            (0x0110, pdus.us(1)),
            (0x0800, pdus.us(chance.choice((0x101, 1, 0)))),
            (0x1000, pdus.ui(chance.choice(("1.2.3.4", *_UIDS)))),
        ]
        chance.shuffle(elements)
        command = pdus.command(*elements[: chance.randint(1, 5)])
        context = chance.choice((1, _IMAGE))
        data = chance.choice((self._dataset, b"", chance.randbytes(500)))
        return [
            pdus.associate_rq(),
            pdus.p_data((context, COMMAND | LAST, command)),
            pdus.p_data((context, LAST, data)),
            pdus.RELEASE_RQ,
        ]

    def _cut_short(self) -> list[bytes]:
        whole = b"".join(self._good())
        return [whole[: self._chance.randrange(len(whole))]]

    def _noise(self) -> list[bytes]:
        first = self._chance.choice(([], [pdus.associate_rq()]))
        kind = self._chance.randrange(256)
        body = self._chance.randbytes(self._chance.choice((0, 4, 70, 3000)))
        return [*first, pdus.pdu(kind, body), self._chance.randbytes(50)]

    def _endless(self) -> list[bytes]:
        """Let a dataset go on and on, in pieces that are empty or not."""
        size = self._chance.choice((0, 1, 16000))
        store = pdus.p_data((_IMAGE, COMMAND | LAST, pdus.c_store_rq("1.2.3.4")))
        return [pdus.associate_rq(), store, *[pdus.p_data((_IMAGE, 0, bytes(size)))] * 30]
