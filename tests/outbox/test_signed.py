"""Signed JSON has one spelling, whatever its kind."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.outbox.signed import NotSigned, seal, unseal

CONTENT = {"b": [1, 2, {"ü": "x"}], "a": 'é\n"'}


@pytest.mark.parametrize("kind", ["manifest", "withdrawal"])
def test_a_document_is_spelt_with_sorted_names_and_no_spaces(kind: str) -> None:
    """So that whatever wrote it, and of whichever version, its bytes are the same."""
    key = Ed25519PrivateKey.generate()
    sealed = seal(kind, CONTENT, key)
    spelt = json.dumps(
        json.loads(sealed), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert sealed == spelt.encode() + b"\n"
    assert unseal(kind, sealed, key.public_key()) == CONTENT
    for other in (sealed + b" ", sealed.replace(b'"a"', b'"a" '), sealed[:-1]):
        with pytest.raises(NotSigned):
            unseal(kind, other, key.public_key())
