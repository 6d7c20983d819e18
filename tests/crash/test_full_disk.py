"""A disk that is really full: a small one is mounted, filled to its end, and given room again."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest

from node.inbox.header import read_header
from node.upper_layer import AssociationRejected, Rejection, Status, UpperLayerError
from tests.crash.harness import PATIENCE, CrashNode, crash_node
from tests.crash.small_disk import fill, grow, small_disk
from tests.factories import make_instance
from tests.peers import send as send_by_pynetdicom
from tests.receive.receiving import IMAGE, ct, encoded, sending, wait_until
from tests.receive.running import Role, a_role

pytestmark = [
    pytest.mark.crash,
    pytest.mark.mount,
    pytest.mark.timeout(600),
    # pynetdicom's SCU leaves the socket of a peer that was killed to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

WAIT_SECONDS = 120.0
MEGABYTES = 8
MANY = 200


def _fill_by_sending(role: Role) -> dict[str, bytes]:
    """Send on one association until the disk takes no more; give what was acknowledged.

    Then nothing is left of the disk; the association lives on, and is told so.
    """
    acknowledged = {}
    with sending(role.port) as association:

        def status_of(number: int) -> int:
            sop_class, uid, dataset = encoded(ct(number, rows=300))
            status = association.send_store(IMAGE, 1, sop_class, uid, [dataset], len(dataset))
            if status == Status.SUCCESS:
                acknowledged[uid] = dataset
            return status

        numbers = iter(range(1, MANY))
        while (status := status_of(next(numbers))) == Status.SUCCESS:
            pass
        assert status == Status.OUT_OF_RESOURCES
        fill(role.inbox.root)
        told = [status_of(number) for number in range(MANY, MANY + 3)]
        assert told == [Status.OUT_OF_RESOURCES] * 3
    return acknowledged


def _is_rejected_for_a_while(role: Role) -> bool:
    try:
        with sending(role.port):
            return False
    except AssociationRejected as error:
        told = error
    return (told.result, told.source, told.reason) == Rejection.TEMPORARY_CONGESTION.value


def _takes_one(role: Role, number: int) -> bool:
    sop_class, uid, dataset = encoded(ct(number))
    with suppress(UpperLayerError), sending(role.port) as association:
        return association.send_store(IMAGE, 1, sop_class, uid, [dataset], len(dataset)) == 0
    return False


def _told(role: Role, *events: str) -> bool:
    return set(events) <= {str(line["event"]) for line in role.log}


@pytest.mark.parametrize("names", [0, 40], ids=["no bytes left", "no names left"])
def test_a_full_disk_takes_nothing_and_loses_nothing(tmp_path: Path, names: int) -> None:
    """A700 within, a transient reject without; what was answered is whole; then it goes on."""
    with a_role(tmp_path) as role, small_disk(role.inbox.root, MEGABYTES, names):
        role.start()
        acknowledged = _fill_by_sending(role)
        assert acknowledged
        assert wait_until(lambda: _is_rejected_for_a_while(role), WAIT_SECONDS)
        assert wait_until(lambda: not list(role.inbox.spool.iterdir()), WAIT_SECONDS)
        kept = {read_header(path).sop_instance_uid: path for path in role.inbox.arrived.iterdir()}
        assert kept.keys() == acknowledged.keys()
        for uid, dataset in acknowledged.items():
            assert kept[uid].read_bytes().endswith(dataset)
        for path in (*role.inbox.root.glob("filler*"), *kept.values()):
            path.unlink()
        assert wait_until(lambda: _takes_one(role, 2 * MANY), WAIT_SECONDS)
        assert wait_until(lambda: _told(role, "storage_failed", "disk_recovered"), WAIT_SECONDS)
        assert role.stop() == 0
        assert list(role.inbox.spool.iterdir()) == []


@pytest.mark.acceptance
@pytest.mark.long
def test_a_node_whose_disk_was_full_finishes_all_that_it_acknowledged(tmp_path: Path) -> None:
    """All roles on a disk that fills up while studies flow, and is enlarged an hour too late."""
    with small_disk(tmp_path / "data", 3 * MEGABYTES), crash_node(tmp_path) as node:
        while _send_a_study(node):
            pass
        assert node.acknowledged
        time.sleep(3)  # the roles meet a full disk for a while
        node.keep_alive()
        grow(tmp_path / "data", 500)
        node.wait_for_arrival(len(node.acknowledged))
        node.check()
        node.send([make_instance(node.sent + 1)])


def _send_a_study(node: CrashNode) -> bool:
    """Send ten images of a patient as a modality does that gives up; False once one is refused."""
    patient = node.sent + 1
    node.sent += 1
    study = [make_instance(patient, instance=number, rows=300) for number in range(1, 11)]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            statuses = send_by_pynetdicom(study, node.port)
        except (OSError, UpperLayerError, AssertionError):
            if patient > 1:
                return False
            time.sleep(0.2)
            continue
        node.acknowledged |= {
            str(one.SOPInstanceUID)
            for one, status in zip(study, statuses, strict=False)
            if status == Status.SUCCESS
        }
        assert set(statuses) <= {Status.SUCCESS, Status.OUT_OF_RESOURCES}
        return set(statuses) == {Status.SUCCESS}
    raise AssertionError(node.log())
