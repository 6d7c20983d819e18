"""Remember whose each pseudonym is, so that no second patient goes out under it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; what is out already is entered when something of that patient follows."""
    op.create_table(
        "pseudonym",
        sa.Column("domain", sa.Text, primary_key=True),
        sa.Column("pseudonym", sa.Text, primary_key=True),
        sa.Column("witness", sa.Text, nullable=False),
    )
