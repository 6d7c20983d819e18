"""Alembic's folder for the index; run by `node.inbox.index` alone."""
