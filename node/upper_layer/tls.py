"""TLS as the BCP 195 profile asks: TLS 1.2 or newer, forward secrecy, AEAD (PS3.15 B.12)."""

from __future__ import annotations

import ssl
from pathlib import Path

# RFC 9325 4.2: of TLS 1.2 only ephemeral key exchange with an AEAD cipher.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL:!PSK"


def server_context(certificate: Path, private_key: Path, client_ca: Path) -> ssl.SSLContext:
    """Give the context of a listener: clients must show a certificate of `client_ca`.

    Raises OSError or ssl.SSLError where a file is missing or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, private_key)
    context.load_verify_locations(client_ca)
    return context


def client_context(
    ca: Path, certificate: Path | None = None, private_key: Path | None = None
) -> ssl.SSLContext:
    """Give the context of a requestor: the server's certificate must be of `ca` and name it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    context.load_verify_locations(ca)
    if certificate is not None:
        context.load_cert_chain(certificate, private_key)
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
