"""Keyed digests of identifiers: what the index still knows when PHI was purged from its rows."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


@dataclass(frozen=True, slots=True)
class Digests:
    """Digests under a sub-key that is used for nothing else; 32 hex digits each."""

    subkey: bytes = field(repr=False)

    def of(self, *values: str) -> str:
        """Digest values in their order; surrounding padding is not part of a value."""
        message = "\0".join(value.strip(" \0") for value in values)
        return hmac.digest(self.subkey, message.encode(), "sha256").hex()[:32]


def digests_of(key: bytes) -> Digests:
    """Derive the index's sub-key from the node's pseudonym key."""
    derived = HKDF(SHA256(), 32, salt=b"deid-node index v1", info=b"digest").derive(key)
    return Digests(derived)
