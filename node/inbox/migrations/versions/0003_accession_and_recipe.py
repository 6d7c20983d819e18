"""Know a study by its accession number, who excluded an instance, and what decided a generation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the index; what came before has no accession number."""
    op.add_column("instance", _text("excluded_by"))
    op.execute(
        "UPDATE instance SET excluded_by = 'somebody' WHERE state = 'EXCLUDED'"
        " AND (reason LIKE 'excluded by %' OR reason LIKE 'the % of a conflict was kept')"
    )
    op.add_column("instance", sa.Column("accession_number", sa.Text))
    op.add_column("instance", _text("accession_digest"))
    op.create_index("instance_by_accession", "instance", ["accession_number"])
    op.add_column("generation", _text("recipe_digest"))


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")
