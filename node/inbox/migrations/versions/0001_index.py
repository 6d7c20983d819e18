"""The index as it was first: studies, generations, instances, jobs, findings, decisions."""

from __future__ import annotations

from alembic import op

from node.inbox.tables import metadata
from node.inbox.triggers import TRIGGERS

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and the triggers that keep the counts."""
    metadata.create_all(op.get_bind())
    for statement in TRIGGERS:
        op.execute(statement)
