"""Signed JSON: `{"<kind>": {…}, "signature": "…"}` in one canonical spelling.

The signature (Ed25519) covers the kind's name and version too, so that a signed document of one
kind can never be taken for another's.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class NotSigned(Exception):  # noqa: N818 -- a fact about the bytes
    """These bytes are not what the key's holder wrote."""


def seal(kind: str, content: Mapping[str, Any], key: Ed25519PrivateKey) -> bytes:
    """Give the bytes of a signed document; the same content always gives the same bytes."""
    spelt = _canonical(content)
    return _envelope(kind, spelt, key.sign(_message(kind, spelt)))


def unseal(kind: str, sealed: bytes, key: Ed25519PublicKey) -> dict[str, Any]:
    """Give the content of a signed document; NotSigned unless each byte is as the signer wrote."""
    try:
        outer = json.loads(sealed)
        content = outer[kind]
        spelt = _canonical(content)
        signature = base64.b64decode(outer["signature"], validate=True)
        key.verify(signature, _message(kind, spelt))
    except InvalidSignature:
        raise NotSigned("the signature is not of this node's key and content") from None
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
        raise NotSigned(f"it is not a signed {kind}") from None
    if not isinstance(content, dict) or _envelope(kind, spelt, signature) != sealed:
        raise NotSigned("it is not spelt as this node spells it")
    return content


def _message(kind: str, spelt: bytes) -> bytes:
    return f"deid-node {kind} v1\0".encode() + spelt


def _envelope(kind: str, spelt: bytes, signature: bytes) -> bytes:
    # Put together as _canonical would: a manifest of thousands of files is not spelt twice.
    parts = sorted([(kind.encode(), spelt), (b"signature", b'"%b"' % base64.b64encode(signature))])
    return b"{%b}\n" % b",".join(b'"%b":%b' % part for part in parts)


def _canonical(value: Any) -> bytes:
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
