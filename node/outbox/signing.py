"""The key pair that signs manifests (Ed25519, RFC 8032): `process` holds it, anyone can check.

The private key lies in keys/manifest.key (0600), the public one beside the releases.
"""

from __future__ import annotations

import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from node import disk


class SigningKeyError(Exception):
    """A signing key is missing, open to others, or not the key that it should be."""


def create_signing_key(private_path: Path, public_path: Path) -> Ed25519PrivateKey:
    """Make a new key pair on disk; FileExistsError if either file is there."""
    if public_path.exists():
        raise FileExistsError(public_path)
    key = Ed25519PrivateKey.generate()
    private_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    disk.write_durably(private_path, private_pem, mode=0o600)
    _write_public(key, public_path)
    return key


def ensure_signing_key(private_path: Path, public_path: Path) -> Ed25519PrivateKey:
    """Load the key pair, or make it where there is neither half.

    A public half that a crash left unwritten is written again. A public half without its private
    one, or of another key, is an error: releases signed before could no longer be checked.
    """
    if not private_path.exists():
        if public_path.exists():
            raise SigningKeyError(
                f"{private_path} is missing, but {public_path} is there: bring the private key "
                "back from its backup"
            )
        return create_signing_key(private_path, public_path)
    key = load_signing_key(private_path)
    if not public_path.exists():
        _write_public(key, public_path)
    elif _raw(load_public_key(public_path)) != _raw(key.public_key()):
        raise SigningKeyError(f"{public_path} is not the public half of {private_path}")
    return key


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """Read the private key; SigningKeyError if it is missing, open to others or no such key."""
    try:
        mode = path.stat().st_mode
        pem = path.read_bytes()
    except OSError as error:
        raise SigningKeyError(f"{path} cannot be read: {error.strerror}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise SigningKeyError(f"{path} is open to others: chmod 600 it")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SigningKeyError(f"{path} is not a private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyError(f"{path} is not an Ed25519 key")
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Read the public key; SigningKeyError if it is missing or no such key."""
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise SigningKeyError(f"{path} cannot be read: {error.strerror}") from None
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise SigningKeyError(f"{path} is not a public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise SigningKeyError(f"{path} is not an Ed25519 key")
    return key


def _write_public(key: Ed25519PrivateKey, path: Path) -> None:
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    disk.write_durably(path, pem, mode=0o644)


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
