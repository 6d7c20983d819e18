"""The wall clock jumps 40 days under the real roles, and nothing happens that should not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.config import NodeConfig, load_config
from node.inbox import views
from node.inbox.decisions import Decision, DecisionKind, write_decision
from node.inbox.layout import Inbox
from node.outbox.layout import Outbox
from node.outbox.receipts import Receipt, write_receipt
from node.status.read import reading_index
from tests.conftest import FAKETIME
from tests.factories import make_instance
from tests.ports import free_port
from tests.process.conftest import put_arrived
from tests.starting import PATIENCE, logged, start

pytestmark = [pytest.mark.acceptance, pytest.mark.faketime]

JUMPS = ("+40d", "-40d", "+0d")
#: So long nothing must happen after a jump: ten ticks.
STILL_SECONDS = 2.0

CONFIG = """
[node]
data_dir = "{data}"
[completion]
quiet_seconds = 3600
max_seconds = 86400
[retention]
originals_days = 30
released_days = 30
held_warn_days = 10
[forward]
port = 0
retry_first_seconds = 3600
[[routes]]
name = "trial"
destinations = ["research"]
[[destinations]]
name = "research"
type = "dicom"
ae_title = "RESEARCH"
host = "127.0.0.1"
port = {port}
"""


class Node:
    """A node's folder, and a clock on its wall that a test sets while roles look at it."""

    def __init__(self, folder: Path) -> None:
        path = folder / "node.toml"
        port = free_port()
        path.write_text(CONFIG.format(data=folder / "data", port=port), encoding="utf-8")
        self.path, self.folder = path, folder
        self.config: NodeConfig = load_config(path)
        self.inbox, self.outbox = Inbox(self.config.inbox_dir), Outbox(self.config.outbox_dir)
        self.inbox.create()
        self.jump("+0d")

    def jump(self, offset: str) -> None:
        """Set the wall clock of the running roles and of those that start."""
        (self.folder / "clock").write_text(offset)

    @contextmanager
    def role(self, name: str) -> Iterator[None]:
        """Run a role under the false clock, begin when it works; the monotonic clock stays true."""
        (library,) = FAKETIME
        environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self.folder / "clock"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        log = self.folder / "log"
        log.touch()
        before = len(self.events("role_started"))
        process = start(name, self.path, log, **environment)
        try:
            self.wait(lambda: len(self.events("role_started")) > before, f"{name} did not start")
            yield
        finally:
            process.terminate()
            assert process.wait(timeout=PATIENCE) == 0, self.log()

    def study(self) -> views.StudyRow | None:
        """Give the only study, if the index knows it already."""
        with reading_index(self.config) as conn:
            found = [] if conn is None else views.studies(conn)
        return found[0] if found else None

    def state(self) -> str:
        """Give its state."""
        study = self.study()
        return study.state if study else ""

    def complete(self) -> str:
        """Complete the study by hand, as a person does, and wait for its release."""
        study = self.study()
        assert study is not None
        when = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        write_decision(
            self.inbox,
            Decision(kind=DecisionKind.COMPLETE, study=study.study, who="o", when=when),
        )
        self.wait(lambda: self.state() == "RELEASED", "it was not released")
        return study.study

    def wait(self, holds: Callable[[], object], what: str) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"{what}\n{self.log()}"
            time.sleep(0.1)

    def log(self) -> str:
        """Give what the roles printed."""
        return (self.folder / "log").read_text(encoding="utf-8")[-4000:]

    def events(self, name: str) -> list[str]:
        """Give the times of a kind of event, as the roles saw them."""
        return [event["timestamp"] for event in logged(self.folder / "log", name)]


def test_a_jumping_clock_completes_purges_and_retries_nothing(tmp_path: Path) -> None:
    """Forty days forth and back: no early completion, no early purge, no storm of retries."""
    node = Node(tmp_path)
    with node.role("process"):
        put_arrived(node.inbox, "a000000000-000001", make_instance())
        node.wait(lambda: node.state() == "RECEIVING", "it was not adopted")
        for offset in JUMPS:
            node.jump(offset)
            time.sleep(STILL_SECONDS)
            assert node.state() == "RECEIVING", f"complete after {offset}"
        study = node.complete()
    write_receipt(
        node.outbox.receipts,
        Receipt(f"{study}-g1", "research", study, 1, 1, False, "2026-01-01T00:00:00Z"),
    )
    for offset in JUMPS:  # what is kept for days is looked after at each start
        node.jump(offset)
        with node.role("process"):
            time.sleep(STILL_SECONDS)
        assert len(list(node.inbox.studies.glob("*/*.dcm"))) == 1, f"purged after {offset}"
        assert len(list(node.outbox.releases.glob("*/*.dcm"))) == 1
    starts = {stamp[:10] for stamp in node.events("role_started")}
    assert len(starts) == 3, "the clock did jump"


def test_a_destination_that_is_down_is_not_stormed_after_a_jump(tmp_path: Path) -> None:
    """A wait that a jump ends is followed by one attempt and by the next wait."""
    node = Node(tmp_path)
    with node.role("process"):
        put_arrived(node.inbox, "a000000000-000001", make_instance())
        node.wait(lambda: node.state() == "RECEIVING", "it was not adopted")
        node.complete()
    with node.role("forward"):
        node.wait(lambda: node.events("delivery_deferred"), "it was not tried")
        for number, offset in enumerate(JUMPS, start=1):
            node.jump(offset)
            time.sleep(STILL_SECONDS)
            assert len(node.events("delivery_started")) <= 1 + number, f"stormed after {offset}"
