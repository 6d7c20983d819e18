"""What an instance weighs is the disk's matter, not the memory's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.upper_layer import Status
from tests.receive.receiving import IMAGE, ct, encoded, send, sending
from tests.receive.running import Role, a_role

MEGABYTE = 1024 * 1024


@pytest.fixture
def role(tmp_path: Path) -> Iterator[Role]:
    """Give a role of this test."""
    with a_role(tmp_path) as role:
        role.start()
        yield role


def _peak(role: Role) -> int:
    """Give the most memory that the role ever had, in bytes."""
    assert role.process
    status = Path(f"/proc/{role.process.pid}/status").read_text()
    (kilobytes,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(kilobytes) * 1024


@pytest.mark.parametrize(
    "megabytes", [200, pytest.param(2048, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_memory_is_flat_however_large_an_instance_is(role: Role, megabytes: int) -> None:
    """A multi-frame goes to the disk as it comes; 150 MB are enough for whatever is sent."""
    sop_class, sop_instance, dataset = encoded(ct())
    pixels = dataset.index(b"\xe0\x7f\x10\x00")
    length = megabytes * MEGABYTE
    head = dataset[:pixels] + b"\xe0\x7f\x10\0OW\0\0" + length.to_bytes(4, "little")
    chunks = [head, *[bytes(MEGABYTE)] * megabytes]
    with sending(role.port) as association:
        assert send(association, ct(2)) == Status.SUCCESS
        before = _peak(role)
        status = association.send_store(
            IMAGE, 2, sop_class, sop_instance, chunks, len(head) + length
        )
        assert status == Status.SUCCESS
    assert _peak(role) < before + 30 * MEGABYTE
    assert _peak(role) < 150 * MEGABYTE
    assert {path.stat().st_size > length for path in role.inbox.arrived.iterdir()} == {True, False}
    for path in role.inbox.arrived.iterdir():
        path.unlink()
