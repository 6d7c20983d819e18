"""A workplace in a temporary folder, files that arrive in it, and jobs that run at once in here."""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import FileDataset
from sqlalchemy import select

from node.config import NodeConfig
from node.inbox import decisions, views
from node.inbox.layout import Inbox
from node.inbox.tables import instance
from node.observe import set_up_logging
from node.outbox.layout import Outbox
from node.pool import Ended
from node.process import role, worker
from node.process.opening import open_workplace
from node.process.recovery import recover
from node.process.role import Run, tick
from node.process.workplace import Workplace
from tests.factories import make_instance
from tests.process import scripted


@dataclass
class InlinePool:
    """A pool whose jobs run when they are started, in this process; a SystemExit is a death."""

    slots: int = 2
    ended: list[Ended] = field(default_factory=list)
    started: list[Any] = field(default_factory=list)
    runs: list[tuple[Any, ...]] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    hold: bool = False

    @property
    def free(self) -> int:
        """How many jobs may start."""
        return self.slots - len(self.ended)

    @property
    def active(self) -> int:
        """How many ended and wait to be collected."""
        return len(self.ended)

    def start(self, token: int, job: Any, message: Any, timeout: float, _limits: Any) -> None:
        """Run the jobs that share a worker."""
        self.started.extend(message)
        self.timeouts.append(timeout)
        self.runs.append(message)
        try:
            self.ended.append(Ended(token, reply=job(message)))
        except SystemExit:
            self.ended.append(Ended(token, death="its process died (exit code -9)"))
        except TimeoutError:
            self.ended.append(Ended(token, death="took longer than it may"))
        except MemoryError as error:
            self.ended.append(Ended(token, death="raised MemoryError", error=error))

    def collect(self, _wait_seconds: float) -> list[Ended]:
        """Give what ended."""
        if self.hold:
            return []
        ended, self.ended = self.ended, []
        return ended

    def kill(self, *tokens: int) -> None:
        """Let jobs die that were not collected yet."""
        dead = [Ended(token, death="its process died (exit code -9)") for token in tokens]
        self.ended = [one for one in self.ended if one.token not in tokens] + dead

    def stop(self) -> None:
        """Forget everything."""
        self.ended = []


@dataclass
class Clock:
    """A steady clock that a test winds on."""

    time: float = 1_000_000.0

    def now(self) -> float:
        """Give the time that the test has set."""
        return self.time


class Door:
    """A node's `process` as a test drives it: files arrive, ticks pass, rows are looked at."""

    def __init__(self, root: Path, **config: Any) -> None:
        config.setdefault("completion", {"quiet_seconds": 10, "max_seconds": 1000})
        self.config = NodeConfig(node={"data_dir": root}, **config)
        self.inbox = Inbox(self.config.inbox_dir)
        self.outbox = Outbox(self.config.outbox_dir)
        self.inbox.create()
        self.clock = Clock()
        self.pool = InlinePool()
        self._exits = ExitStack()
        self._taken: dict[str, set[str]] = {}
        self.open()

    def open(self) -> None:
        """Start a run, as after the last one ended anyhow."""
        place, chain = open_workplace(self.config, self.inbox, self._exits)
        self.place: Workplace = replace(place, clock=self.clock)
        self.run = Run(self.place, self.pool, chain, adopted_at=0.0)
        recover(self.place)

    def close(self) -> None:
        """Close the index."""
        self._exits.close()

    def restart(self, **config: Any) -> None:
        """Forget everything in memory and start again."""
        self.close()
        if config:
            self.config = NodeConfig(node={"data_dir": self.config.node.data_dir}, **config)
        self.pool.ended = []
        self.open()

    def arrive(self, *datasets: FileDataset, association: str = "a000000000") -> list[str]:
        """Put instances into arrived/ as receive does, and return their ids."""
        taken = self._taken.setdefault(association, set())
        names = []
        for dataset in datasets:
            name = f"{association}-{len(taken) + 1:06d}"
            taken.add(name)
            put_arrived(self.inbox, name, dataset)
            names.append(name)
        return names

    def tick(self, times: int = 1, seconds: float = 0.0) -> None:
        """Tick, winding the clock on before each."""
        for _ in range(times):
            self.clock.time += seconds
            tick(self.run)

    def settle(self, seconds: float = 20.0) -> None:
        """Adopt what arrived, let the quiet time pass, and tick until nothing moves."""
        tick(self.run)
        self.clock.time += seconds
        still = 0
        before: Any = None
        for _ in range(60):
            if still == 3:
                break
            tick(self.run)
            now = (self.studies(), len(self.pool.started), self.releases())
            still = still + 1 if now == before else 0
            before = now

    def decide(self, kind: str, study_id: str, **facts: Any) -> None:
        """Write a decision as the command line does."""
        decisions.write_decision(
            self.inbox,
            decisions.Decision(
                kind=decisions.DecisionKind(kind),
                study=study_id,
                who="operator",
                when="2026-03-04T05:06:07.000001+00:00",
                **facts,
            ),
        )

    def studies(self) -> list[views.StudyRow]:
        """Give all studies, the newest first."""
        with self.place.index.connect() as conn:
            return views.studies(conn)

    def study(self) -> views.StudyRow:
        """Give the only study."""
        (only,) = self.studies()
        return only

    def instances(self) -> dict[str, Any]:
        """Give all rows, by id."""
        with self.place.index.connect() as conn:
            return {row.id: row for row in conn.execute(select(instance))}

    def states(self) -> dict[str, str]:
        """Give all states, by id."""
        return {name: row.state for name, row in self.instances().items()}

    def events(self, study_id: str | None = None) -> list[str]:
        """Give a study's timeline."""
        with self.place.index.connect() as conn:
            return [one.name for one in views.timeline(conn, study_id or self.study().study)]

    def conservation(self) -> dict[str, int]:
        """Give the eight counts."""
        arrived = len(list(self.inbox.arrived.glob("*.dcm")))
        with self.place.index.connect() as conn:
            return views.conservation(conn, arrived)

    def releases(self) -> list[str]:
        """Give the names in releases/."""
        return sorted(path.name for path in self.outbox.releases.iterdir())


def small_studies(door: Door, count: int, images: int = 5) -> dict[int, list[str]]:
    """Let small studies arrive; the names of each one's instances."""
    return {
        study: door.arrive(
            *(
                make_instance(patient=study, study=study, instance=100 * study + number)
                for number in range(images)
            ),
            association=f"{study:010d}",
        )
        for study in range(1, count + 1)
    }


def put_arrived(inbox: Inbox, name: str, dataset: FileDataset) -> Path:
    """Write a dataset into arrived/ under an instance id, with the File Meta of receive."""
    dataset.file_meta.SendingApplicationEntityTitle = "CT1"
    dataset.file_meta.ReceivingApplicationEntityTitle = "DEIDNODE"
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    path = inbox.arrived / f"{name}.dcm"
    path.write_bytes(buffer.getvalue())
    return path


@pytest.fixture(autouse=True)
def quiet_log() -> None:
    """Log as the role does, so that an unknown event is a failure."""
    set_up_logging("json", "info", "process")


@pytest.fixture
def scripted_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the scripted engine and validator answer instead of the real ones."""
    monkeypatch.setattr(worker, "deidentify", scripted.deidentify)
    monkeypatch.setattr(worker, "validate", scripted.validate)
    monkeypatch.setattr(role, "TROUBLE_SECONDS", 0.0)


@pytest.fixture
def make_door(
    tmp_path: Path,
    scripted_engine: None,  # noqa: ARG001 -- it must be in place before a door ticks
) -> Iterator[Callable[..., Door]]:
    """Make nodes with other configurations; the scripted engine answers."""
    doors: list[Door] = []

    def make(**config: Any) -> Door:
        door = Door(tmp_path / f"node{len(doors)}", **config)
        doors.append(door)
        return door

    yield make
    for door in doors:
        door.close()


@pytest.fixture
def door(make_door: Callable[..., Door]) -> Door:
    """Make a node with a quiet time of 10 s."""
    return make_door()


@pytest.fixture
def hold_association(door: Door) -> Iterator[Callable[[str], None]]:
    """Hold an association's spool folder open, as a sender that has not gone yet."""
    held: list[int] = []

    def hold(association: str) -> None:
        folder = door.inbox.spool / association
        folder.mkdir()
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        held.append(fd)

    yield hold
    for fd in held:
        os.close(fd)
