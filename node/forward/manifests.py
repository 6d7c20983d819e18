"""Manifests that were just read and checked: most releases are seen and sent in the same moment."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.outbox.manifest import FILE_NAME, Manifest, read_manifest

#: So many instances are remembered at most, of however many releases.
MOST_INSTANCES = 5000


class Manifests:
    """Reads manifests; one whose file is untouched since is not read again."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], Manifest]] = {}
        self._instances = 0

    def read(self, folder: Path, key: Ed25519PublicKey) -> Manifest:
        """Read and check the manifest of a release folder; ManifestInvalid as read_manifest."""
        identity = _identity(folder)  # before it is read: what changes later is read again
        known = self._known.get(folder)
        if known is not None and identity and known[0] == identity:
            return known[1]
        manifest = read_manifest(folder, key)
        if self._instances + len(manifest.instances) > MOST_INSTANCES:
            self._known.clear()
            self._instances = 0
        self._known[folder] = identity, manifest
        self._instances += len(manifest.instances)
        return manifest


def _identity(folder: Path) -> tuple[int, ...]:
    try:
        found = (folder / FILE_NAME).lstat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
