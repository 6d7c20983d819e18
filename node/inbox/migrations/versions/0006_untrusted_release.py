"""Know which releases were found untrusted: their numbers are used up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of what came before, a folder or a receipt tells."""
    op.add_column(
        "generation", sa.Column("untrusted", sa.Boolean, nullable=False, server_default="0")
    )
