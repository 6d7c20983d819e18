"""Know which jobs may share a worker, and which do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; a job that waited before has a worker of its own."""
    op.add_column("job", sa.Column("shares", sa.Boolean, nullable=False, server_default="0"))
    op.add_column("job", sa.Column("run", sa.Integer))
    op.create_index("job_by_run", "job", ["run"])
