"""The ledger's schema, step by step (Alembic; run by `forward` when it starts)."""
