"""Where things lie in the identified zone. Every name here is ours, never one from the wire."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Inbox:
    """The folders of the identified zone: the only place with PHI.

    An instance's id is `<association id>-<number>`; it is the name of its file in `arrived` and
    later in `studies/<study id>`, so that a file tells by itself how it came.
    """

    root: Path

    @property
    def spool(self) -> Path:
        """Partial files, one folder per open association; its owner holds the folder's flock."""
        return self.root / "spool"

    @property
    def arrived(self) -> Path:
        """Durable files that the index does not know yet."""
        return self.root / "arrived"

    @property
    def studies(self) -> Path:
        """Originals: `<study id>/<instance id>.dcm`."""
        return self.root / "studies"

    @property
    def decisions(self) -> Path:
        """What people decided, one JSON file each, before it becomes a row."""
        return self.root / "decisions"

    @property
    def database(self) -> Path:
        """The index; `process` alone writes it."""
        return self.root / "db" / "index.sqlite3"

    @property
    def audit(self) -> Path:
        """The audit trail: one file per writer (node.audit)."""
        return self.root / "audit"

    @property
    def locks(self) -> Path:
        """One lock file per role of this zone, held while the role lives."""
        return self.root / "locks"

    def create(self) -> None:
        """Make the folders that are missing, closed to others."""
        for folder in (
            self.root, self.spool, self.arrived, self.studies, self.decisions, self.locks,
            self.audit, self.database.parent,
        ):  # fmt: skip
            folder.mkdir(parents=True, exist_ok=True, mode=0o770)
