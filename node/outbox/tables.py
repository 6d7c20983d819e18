"""The ledger's tables: what became of each release at each destination.

No UID is in any row: an instance is known by its file's name and digest (with retain-uids the
name is an id of ours), and everything else about it is read from the manifest.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

#: Releases that were seen; `problem` says why one cannot be sent at all, else "".
release = sa.Table(
    "release",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("study", sa.Text, nullable=False, index=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("instances", sa.Integer, nullable=False),
    sa.Column("problem", sa.Text, nullable=False, server_default=""),
    sa.Column("seen_at", sa.Float, nullable=False),
)

#: Destinations as forward finds them; `failures` counts failed associations in a row.
destination = sa.Table(
    "destination",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.text("0")),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_attempt_at", sa.Float),
    sa.Column("last_answer", sa.Text, nullable=False, server_default=""),
    sa.Column("last_answer_at", sa.Float),
)

#: One row per release and destination; the counts are kept by triggers on delivery_instance.
#: What is DELIVERED and awaits commitment is asked for (again) at next_attempt_at.
delivery = sa.Table(
    "delivery",
    metadata,
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
    sa.Index("delivery_due", "destination", "state"),
)

#: One row per instance to deliver; `intents` counts sends that were begun, `failures` those that
#: the destination answered with a failure that might pass.
delivery_instance = sa.Table(
    "delivery_instance",
    metadata,
    sa.Column("delivery", sa.Integer, sa.ForeignKey("delivery.id"), primary_key=True),
    sa.Column("file", sa.Text, primary_key=True, index=True),
    sa.Column("sha256", sa.Text, nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("intents", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("answer", sa.Text, nullable=False, server_default=""),
)

#: What happened to each delivery, for its timeline.
delivery_event = sa.Table(
    "delivery_event",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("delivery", sa.Integer, sa.ForeignKey("delivery.id"), nullable=False, index=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False, server_default=""),
)

#: Storage commitment that was asked for: a Transaction UID is used once (PS3.4 J.3.2.1).
commitment = sa.Table(
    "commitment",
    metadata,
    sa.Column("transaction_uid", sa.Text, primary_key=True),
    sa.Column("delivery", sa.Integer, sa.ForeignKey("delivery.id"), nullable=False),
    sa.Column("asked_at", sa.Float, nullable=False),
)

#: People's decisions that were taken up, by the name of their file.
decision = sa.Table(
    "decision",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("study", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("taken_at", sa.Float, nullable=False),
    sa.Column("refusal", sa.Text, nullable=False, server_default=""),
)

#: Studies that a person took back; no release of theirs, early or late, is sent.
withdrawal = sa.Table(
    "withdrawal",
    metadata,
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
)
