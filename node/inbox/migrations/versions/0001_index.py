"""The index as it was first: studies, generations, instances, jobs, findings, decisions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    """Make the tables and the triggers that keep the counts."""
    for statement in _statements(STATEMENTS.read_text(encoding="utf-8")):
        op.execute(statement)


def _statements(script: str) -> Iterator[str]:
    """Split a script; a trigger holds semicolons of its own."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""
