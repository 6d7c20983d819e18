"""What Alembic runs: migrations over the connection that the caller gives; there is no ini file."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
