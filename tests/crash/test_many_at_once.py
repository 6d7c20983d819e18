"""Ten thousand instances in every place and state: killed, the node works again in seconds."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from node.inbox import views
from node.status import status
from node.status.read import reading_index
from node.upper_layer import UpperLayerError
from tests.crash.harness import ROLES, CrashNode, crash_node
from tests.factories import make_instance
from tests.peers import send
from tests.starting import PATIENCE, logged

pytestmark = [pytest.mark.acceptance, pytest.mark.crash, pytest.mark.long, pytest.mark.timeout(0)]

STUDIES = 200
IMAGES = 50
#: Every so many studies, one has no Patient ID and is held.
HELD = 20


def test_with_ten_thousand_instances_in_flight_it_recovers_in_seconds(tmp_path: Path) -> None:
    """Every role works again, and the status is true: each instance is counted once."""
    with crash_node(tmp_path, chunk=64) as node:
        node.send([make_instance()])
        node.wait_for_arrival(1)
        node.kill("process")
        lay_down(node)
        node.start("process")
        wait_for(node, lambda: in_full_flight(node), "nothing is in every state")
        node.kill("process")
        with sending_on(node):
            node.kill_all()
        there = len(list(node.folder.glob("data/inbox/studies/*/*.dcm"))) + len(
            list(node.inbox.arrived.glob("*.dcm"))
        )
        assert there >= STUDIES * IMAGES
        began, starts, jobs = time.monotonic(), node.starts(), len(events(node, "job_started"))
        for role in ROLES:
            node.start(role)
        wait_for(node, lambda: (node.starts() - starts).keys() == set(ROLES), "no start")
        started = time.monotonic() - began
        wait_for(node, lambda: len(events(node, "job_started")) > jobs, "no job")
        node.send([make_instance(patient=9999)])
        told = status(node.config)
        seconds = time.monotonic() - began
        print(f"{there} instances: roles started in {started:.1f} s, at work in {seconds:.1f} s")  # noqa: T201 -- the figure
        assert all(told["roles"][role] for role in ROLES)
        counts = told["conservation"]
        assert counts["received"] == sum(counts.values()) - counts["received"] == there + 1
        assert seconds < PATIENCE
        node.kill_all()


def lay_down(node: CrashNode) -> None:
    """Put the studies into arrived/, as receive does."""
    for patient in range(1001, 1001 + STUDIES):
        template = make_instance(patient=patient, instance=101)
        if patient % HELD == 0:
            template.PatientID = ""
        buffer = io.BytesIO()
        template.save_as(buffer, enforce_file_format=True)
        uid = str(template.SOPInstanceUID)
        for number in range(101, 101 + IMAGES):
            mine = uid.removesuffix("101") + str(number)
            content = buffer.getvalue().replace(uid.encode(), mine.encode())
            name = f"p{patient:09d}-{number:06d}.dcm"
            hidden = node.inbox.arrived / f".{name}"
            hidden.write_bytes(content)
            hidden.rename(node.inbox.arrived / name)


def in_full_flight(node: CrashNode) -> bool:
    """Tell whether studies are out, held and at work, with files in staging."""
    with reading_index(node.config) as conn:
        if conn is None:
            return False
        counts = views.study_counts(conn)
    staged = any(node.outbox.staging.glob("*/*.dcm"))
    return staged and all(counts[state] for state in ("PROCESSING", "RELEASED", "HELD"))


@contextmanager
def sending_on(node: CrashNode) -> Iterator[None]:
    """Keep an association open with instances on their way while the block runs."""

    def go() -> None:
        with suppress(UpperLayerError):
            send((make_instance(8000, instance=n) for n in range(1, 4000)), node.port)

    sender = threading.Thread(target=go)
    sender.start()
    wait_for(node, lambda: len(list(node.inbox.arrived.glob("*.dcm"))) > IMAGES, "nothing arrived")
    assert any(node.inbox.spool.iterdir()), "the association is over"
    yield
    sender.join(PATIENCE)


def events(node: CrashNode, name: str) -> list[dict[str, object]]:
    """Give what the roles logged under a name."""
    return logged(node.folder / "log", name)


def wait_for(node: CrashNode, holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"{what}\n{node.log()}"
        time.sleep(0.1)
