"""Know a study by its accession number, and a generation by all that decided about it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the index; what came before has no accession number."""
    op.add_column("instance", sa.Column("accession_number", sa.Text))
    op.add_column(
        "instance", sa.Column("accession_digest", sa.Text, nullable=False, server_default="")
    )
    op.create_index("instance_by_accession", "instance", ["accession_number"])
    op.add_column(
        "generation", sa.Column("recipe_digest", sa.Text, nullable=False, server_default="")
    )
