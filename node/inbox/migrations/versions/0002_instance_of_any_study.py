"""Find an instance by its SOP Instance UID in whatever study it lies."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.create_index("instance_by_sop", "instance", ["sop_digest", "study"])
