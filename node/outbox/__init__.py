"""The released zone: layout, manifests and their chain, ledger, decisions, receipts."""
