"""Certificates for TLS, made by an authority of the test's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass
class Certificates:
    """PEM files of one authority: the node's, a peer's, and another authority's."""

    folder: Path
    authority: trustme.CA

    def issue(self, name: str, host: str, authority: trustme.CA | None = None) -> tuple[Path, Path]:
        """Give the files of a new certificate and its key."""
        certificate = (authority or self.authority).issue_cert(host)
        chain, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        certificate.cert_chain_pems[0].write_to_path(str(chain))
        certificate.private_key_pem.write_to_path(str(key))
        return chain, key

    @property
    def ca(self) -> Path:
        """Give the file of the authority's own certificate."""
        path = self.folder / "ca.crt"
        self.authority.cert_pem.write_to_path(str(path))
        return path
