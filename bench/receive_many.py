"""Sixty-four associations at once, idle and busy, and one instance of 2 GB."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from bench.receivers import LOCAL, Receiver
from node.inbox.header import read_header
from node.upper_layer import Deadlines, Proposal, RequestedAssociation, open_association

ASSOCIATIONS = 64
_PROCESSES = 2
_IDLE_SECONDS = 10.0
_CT = "1.2.840.10008.5.1.4.1.1.2"
_EXPLICIT = "1.2.840.10008.1.2.1"
_TWO_GIGABYTES = 2 * 1024**3
_CHUNK = 4 * 1024 * 1024


def opened(port: int) -> RequestedAssociation:
    """Open an association for CT."""
    proposals = [Proposal(1, _CT, (_EXPLICIT,))]
    return open_association(LOCAL, port, "BENCH", "DEIDNODE", proposals, Deadlines(answer=120))


def idle_share(receiver: Receiver) -> float:
    """Hold 64 idle associations; give the share of a core that the receiver spends on them."""
    with ExitStack() as stack:
        for _ in range(ASSOCIATIONS):
            stack.enter_context(opened(receiver.port))
        time.sleep(1)
        before = receiver.cpu_seconds()
        time.sleep(_IDLE_SECONDS)
        return (receiver.cpu_seconds() - before) / _IDLE_SECONDS


def latencies(port: int, paths: list[Path], seconds: float) -> list[float]:
    """Send on 64 associations as fast as they go; the seconds of each answer, sorted."""
    command = [sys.executable, "-m", "bench.receive_many", str(port), str(seconds)]
    senders = [
        subprocess.Popen([*command, *map(str, paths)], stdout=subprocess.PIPE)
        for _ in range(_PROCESSES)
    ]
    answers = [sender.communicate()[0] for sender in senders]
    if any(sender.returncode for sender in senders):
        raise SystemExit("an instance was refused, or an association ended: no figure is worth it")
    return sorted(seconds for told in answers for seconds in json.loads(told))


def peak_of_two_gigabytes(port: int) -> None:
    """Send one instance of 2 GB."""
    uid = "1.2.826.0.1.3680043.9.7777.5.99"
    head = b"".join(
        tag + b"UI" + len(value).to_bytes(2, "little") + value
        for tag, value in (
            (b"\x08\0\x16\0", _CT.encode() + b"\0"),
            (b"\x08\0\x18\0", uid.encode() + b"\0" * (len(uid) % 2)),
            (b"\x20\0\x0d\0", b"1.2.826.0.1.3680043.9.7777.5.98\0"),
        )
    )
    head += b"\xe0\x7f\x10\0OW\0\0" + _TWO_GIGABYTES.to_bytes(4, "little")

    def chunks() -> Iterator[bytes]:
        yield head
        for _ in range(_TWO_GIGABYTES // _CHUNK):
            yield bytes(_CHUNK)

    with opened(port) as association:
        status = association.send_store(1, 1, _CT, uid, chunks(), len(head) + _TWO_GIGABYTES)
    if status:
        raise SystemExit(f"the 2 GB instance was refused: {status:04X}")


def _busy(port: int, datasets: list[tuple[str, bytes]], until: float) -> list[float]:
    took = []
    with opened(port) as association:
        number = 0
        while time.monotonic() < until:
            uid, dataset = datasets[number % len(datasets)]
            number += 1
            began = time.monotonic()
            status = association.send_store(1, 1, _CT, uid, [dataset], len(dataset))
            took.append(time.monotonic() - began)
            if status:
                raise RuntimeError(f"an instance was refused: {status:04X}")
    return took


def _main(port: int, seconds: float, paths: list[Path]) -> None:
    datasets = []
    for path in paths:
        header = read_header(path)
        datasets.append((header.sop_instance_uid, path.read_bytes()[header.dataset_offset :]))
    until = time.monotonic() + seconds
    count = ASSOCIATIONS // _PROCESSES
    with ThreadPoolExecutor(count) as threads:
        runs = [threads.submit(_busy, port, datasets, until) for _ in range(count)]
    print(json.dumps([answer for run in runs for answer in run.result()]))


if __name__ == "__main__":
    _main(int(sys.argv[1]), float(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
