"""A node whose roles are started one by one, killed, and started again, while studies flow."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import FileDataset

from node.config import NodeConfig, load_config
from node.inbox import views
from node.inbox.layout import Inbox
from node.inbox.verify import verify_inbox
from node.outbox.layout import Outbox
from node.status.read import reading_index
from node.status.verify import verify_node
from node.upper_layer import UpperLayerError
from tests.factories import identifiers
from tests.peers import ResearchPacs, research_pacs, send
from tests.ports import free_port
from tests.starting import PATIENCE, logged, start

ROLES = ("receive", "process", "forward")

CONFIG = """
[node]
data_dir = "{data}"
[receive]
host = "127.0.0.1"
port = {port}
min_free_bytes = 0
[completion]
quiet_seconds = 0.2
[process]
chunk_instances = {chunk}
[forward]
port = 0
retry_first_seconds = 0.2
retry_max_seconds = 0.5
[[routes]]
name = "trial"
destinations = ["research"]
[[destinations]]
name = "research"
type = "dicom"
ae_title = "RESEARCH"
host = "127.0.0.1"
port = {pacs}
"""


@dataclass
class CrashNode:
    """The three roles that move bytes, each in a process that a test starts and kills."""

    folder: Path
    port: int
    pacs: ResearchPacs
    config: NodeConfig
    compiled: Path | None = None
    roles: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    sent: int = 0

    @property
    def inbox(self) -> Inbox:
        """Its identified zone."""
        return Inbox(self.folder / "data" / "inbox")

    @property
    def outbox(self) -> Outbox:
        """Its released zone."""
        return Outbox(self.folder / "data" / "outbox")

    def start(self, role: str, **environment: str) -> None:
        """Start a role."""
        # A role that is killed every other second must not compile its modules each time.
        environment["PYTHONDONTWRITEBYTECODE"] = ""
        environment["PYTHONPYCACHEPREFIX"] = str(self.compiled or self.folder / "compiled")
        self.roles[role] = start(
            role, self.folder / "node.toml", self.folder / "log", **environment
        )

    def kill(self, role: str) -> None:
        """End a role as a power cut would."""
        self.roles[role].kill()
        self.roles[role].wait(timeout=PATIENCE)

    def kill_all(self) -> None:
        """End every role at once; what lies there then is whole, however it was met."""
        for process in self.roles.values():
            process.send_signal(signal.SIGKILL)
        for process in self.roles.values():
            process.wait(timeout=PATIENCE)
        with reading_index(self.config) as conn:
            if conn is not None:  # it may die before it has made its first index
                assert [str(problem) for problem in verify_inbox(self.inbox, conn)] == []

    def keep_alive(self) -> None:
        """Start again what has died, as a supervisor does."""
        for role, process in list(self.roles.items()):
            if process.poll() is not None:
                self.start(role)

    def send(self, datasets: list[FileDataset]) -> None:
        """Send instances as a modality does: again and again, until each is acknowledged."""
        self.sent += len(datasets)
        left = list(datasets)
        deadline = time.monotonic() + PATIENCE
        while left:
            assert time.monotonic() < deadline, f"not acknowledged\n{self.log()}"
            with suppress(OSError, UpperLayerError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                statuses = send(left, self.port, timeout=PATIENCE)
                self.acknowledged |= {
                    str(dataset.SOPInstanceUID)
                    for dataset, status in zip(left, statuses, strict=False)
                    if status == 0
                }
            left = [one for one in left if str(one.SOPInstanceUID) not in self.acknowledged]
            if left:
                self.keep_alive()
                time.sleep(0.1)

    def wait_for_arrival(self, instances: int) -> None:
        """Wait until the research PACS has so many instances and every receipt is written."""
        deadline = time.monotonic() + PATIENCE
        while not (self._delivered() >= instances and self._every_receipt()):
            assert time.monotonic() < deadline, (
                f"{self._delivered()} of {instances} arrived\n{self.log()}"
            )
            self.keep_alive()
            time.sleep(0.05)

    def check(self) -> None:
        """Check what must hold at every rest: nothing lost, doubled, leaked or disagreed about."""
        deadline = time.monotonic() + PATIENCE
        while (counts := self.counts())["released"] != self._delivered():
            # The rename is the release: what forward sent at once may get its row a little later.
            assert time.monotonic() < deadline, f"{counts}\n{self.log()}"
            self.keep_alive()
            time.sleep(0.05)
        self.verify()
        assert counts["received"] == sum(counts.values()) - counts["received"]
        assert counts["received"] >= len(self.acknowledged), "what was acknowledged is there"
        assert list(self.outbox.staging.iterdir()) == []
        content = self.pacs.content()
        for patient in range(1, self.sent + 1):
            for value in identifiers(patient)[:5]:
                assert value.encode() not in content, "an identifier is at the destination"

    def verify(self) -> None:
        """Check that `verify` finds nothing wrong; what is just moving is looked at again."""
        deadline = time.monotonic() + PATIENCE
        while problems := verify_node(self.config):
            assert time.monotonic() < deadline, f"{problems}\n{self.log()}"
            self.keep_alive()
            time.sleep(0.05)

    def starts(self) -> Counter[str]:
        """Count how often each role got so far as to work."""
        return Counter(event["role"] for event in logged(self.folder / "log", "role_started"))

    def counts(self) -> dict[str, int]:
        """Give the eight counts of conservation."""
        with reading_index(self.config) as conn:
            assert conn is not None
            return views.conservation(conn, len(list(self.inbox.arrived.glob("*.dcm"))))

    def log(self) -> str:
        """Give the end of what the roles printed."""
        return (self.folder / "log").read_text(encoding="utf-8")[-6000:]

    def _delivered(self) -> int:
        return len(list(self.pacs.folder.glob("*.dcm")))

    def _every_receipt(self) -> bool:
        releases = {path.name for path in self.outbox.releases.iterdir()}
        return {path.name for path in self.outbox.receipts.glob("*.json")} == {
            f"{name}--research.json" for name in releases
        }


@contextmanager
def crash_node(folder: Path, compiled: Path | None = None, chunk: int = 2) -> Iterator[CrashNode]:
    """Run the roles and a research PACS while the block runs.

    `compiled`: where nodes that follow one another keep their compiled modules. `chunk`: so many
    instances a job.
    """
    with research_pacs(folder / "pacs") as pacs:
        port = free_port()
        (folder / "node.toml").write_text(
            CONFIG.format(data=folder / "data", port=port, pacs=pacs.port, chunk=chunk),
            encoding="utf-8",
        )
        node = CrashNode(folder, port, pacs, load_config(folder / "node.toml"), compiled)
        try:
            for role in ROLES:
                node.start(role)
            yield node
        finally:
            node.kill_all()
