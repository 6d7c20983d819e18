"""Where things lie in the released zone. No original identifier is in any name here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Outbox:
    """The folders of the released zone."""

    root: Path

    @property
    def staging(self) -> Path:
        """Releases in the making, `process` only; on the same mount as `releases`."""
        return self.root / "staging"

    @property
    def releases(self) -> Path:
        """Released generations: `<study id>-g<n>/`, files by their new UID and `manifest.json`."""
        return self.root / "releases"

    @property
    def receipts(self) -> Path:
        """What `forward` writes when a destination has a release for good."""
        return self.root / "receipts"

    @property
    def withdrawals(self) -> Path:
        """Signed lists of what had gone out of a study when a person took it back."""
        return self.root / "withdrawals"

    @property
    def decisions(self) -> Path:
        """What people decided about deliveries, one JSON file each, before it becomes a row."""
        return self.root / "decisions"

    @property
    def database(self) -> Path:
        """The ledger; `forward` alone writes it."""
        return self.root / "db" / "ledger.sqlite3"

    @property
    def audit(self) -> Path:
        """The audit trail: one file per writer (node.audit)."""
        return self.root / "audit"

    @property
    def locks(self) -> Path:
        """The lock file of `forward`, held while it lives."""
        return self.root / "locks"

    @property
    def public_key(self) -> Path:
        """The Ed25519 key by which anyone checks a manifest's signature."""
        return self.root / "manifest-public.pem"

    @property
    def forward_key(self) -> Path:
        """The key by which `forward` signs its lists of withdrawn studies (0600)."""
        return self.root / "db" / "forward.key"

    @property
    def forward_public_key(self) -> Path:
        """Its public half."""
        return self.root / "forward-public.pem"

    def create(self) -> None:
        """Make the folders that are missing, closed to others."""
        for folder in (
            self.root, self.staging, self.releases, self.receipts, self.withdrawals,
            self.decisions, self.locks, self.audit, self.database.parent,
        ):  # fmt: skip
            folder.mkdir(parents=True, exist_ok=True, mode=0o770)
