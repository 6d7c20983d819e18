"""The first ledger: releases, destinations, deliveries and their instances, decisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Counts live beside the rows that they count and change in the same transaction.
_COUNTS = """
CREATE TRIGGER count_{event} AFTER {event} ON delivery_instance BEGIN
  UPDATE delivery SET
    total = total + {total},
    stored = stored + ({new} IN ('STORED', 'COMMITTED')) - ({old} IN ('STORED', 'COMMITTED')),
    committed = committed + ({new} = 'COMMITTED') - ({old} = 'COMMITTED'),
    refused = refused + ({new} = 'REFUSED') - ({old} = 'REFUSED')
  WHERE id = {row}.delivery;
END
"""


def upgrade() -> None:
    """Make the tables, and the triggers that keep the counts."""
    op.create_table(
        "release",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("study", sa.Text, nullable=False, index=True),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("instances", sa.Integer, nullable=False),
        sa.Column("problem", sa.Text, nullable=False, server_default=""),
        sa.Column("seen_at", sa.Float, nullable=False),
    )
    op.create_table(
        "destination",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.text("0")),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_attempt_at", sa.Float),
        sa.Column("last_answer", sa.Text, nullable=False, server_default=""),
        sa.Column("last_answer_at", sa.Float),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("release", sa.Text, sa.ForeignKey("release.name"), nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_attempt_at", sa.Float),
        sa.Column("last_answer", sa.Text, nullable=False, server_default=""),
        sa.Column("total", sa.Integer, nullable=False, server_default="0"),
        sa.Column("stored", sa.Integer, nullable=False, server_default="0"),
        sa.Column("committed", sa.Integer, nullable=False, server_default="0"),
        sa.Column("refused", sa.Integer, nullable=False, server_default="0"),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.UniqueConstraint("release", "destination"),
    )
    op.create_index("delivery_due", "delivery", ["destination", "state"])
    op.create_table(
        "delivery_instance",
        sa.Column("delivery", sa.Integer, sa.ForeignKey("delivery.id"), primary_key=True),
        sa.Column("file", sa.Text, primary_key=True, index=True),
        sa.Column("sha256", sa.Text, nullable=False, index=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("intents", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("answer", sa.Text, nullable=False, server_default=""),
    )
    op.create_table(
        "delivery_event",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("delivery", sa.Integer, sa.ForeignKey("delivery.id"), nullable=False, index=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False, server_default=""),
    )
    op.create_table(
        "commitment",
        sa.Column("transaction_uid", sa.Text, primary_key=True),
        sa.Column("delivery", sa.Integer, sa.ForeignKey("delivery.id"), nullable=False),
        sa.Column("asked_at", sa.Float, nullable=False),
    )
    op.create_table(
        "decision",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("study", sa.Text, nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("taken_at", sa.Float, nullable=False),
        sa.Column("refusal", sa.Text, nullable=False, server_default=""),
    )
    op.create_table(
        "withdrawal",
        sa.Column("study", sa.Text, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.execute(_COUNTS.format(event="INSERT", total="1", new="NEW.state", old="''", row="NEW"))
    op.execute(_COUNTS.format(event="DELETE", total="-1", new="''", old="OLD.state", row="OLD"))
    op.execute(
        _COUNTS.format(
            event="UPDATE", total="0", new="NEW.state", old="OLD.state", row="NEW"
        ).replace("AFTER UPDATE ON", "AFTER UPDATE OF state ON")
    )
