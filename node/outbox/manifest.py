"""What a release says of itself: `manifest.json`, signed, and holding nothing of the original.

The file is signed JSON (node.outbox.signed), so a manifest has exactly one sequence of bytes, and
its digest is the SHA-256 of the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import TypeAdapter, ValidationError

from node.outbox.signed import NotSigned, seal, unseal

FILE_NAME = "manifest.json"
FORMAT = 1
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_UID = re.compile(r"[0-9.]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ManifestInvalid(Exception):  # noqa: N818 -- a fact about the release
    """A release's manifest is missing, altered, signed by another key, or says nonsense."""


@dataclass(frozen=True, slots=True)
class ReleasedInstance:
    """One released file.

    An instance that a destination wants in another syntax has a second entry with the same
    SOP Instance UID, whose `variant` is that Transfer Syntax UID; as received it is "".
    """

    sop_instance_uid: str
    file: str
    sop_class_uid: str
    transfer_syntax_uid: str
    modality: str
    bytes: int
    sha256: str
    checks: tuple[str, ...] = ()
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One release: generation `generation` of study `study`, the `sequence`-th of this node.

    `previous` is the digest of the manifest with the sequence number before, "" for the first.
    `created` is the time of release, UTC, ISO 8601. `overrides` are keyed digests of the
    reasons that people gave for releasing against a finding: the words themselves may name somebody
    and stay in the index of the identified zone.
    """

    study: str
    generation: int
    sequence: int
    previous: str
    created: str
    software: str
    route: str
    destinations: tuple[str, ...]
    profile: str
    profile_digest: str
    retains: tuple[str, ...]
    domain: str
    key_fingerprint: str
    instances: tuple[ReleasedInstance, ...]
    overrides: tuple[str, ...] = ()

    @property
    def release(self) -> str:
        """The release's name, which is its folder's."""
        return f"{self.study}-g{self.generation}"

    @property
    def totals(self) -> Mapping[str, int]:
        """Instances by UID, files (variants included) and their bytes."""
        return {
            "instances": len({entry.sop_instance_uid for entry in self.instances}),
            "files": len(self.instances),
            "bytes": sum(entry.bytes for entry in self.instances),
        }


_SHAPE = TypeAdapter(Manifest)


def sign(manifest: Manifest, key: Ed25519PrivateKey) -> bytes:
    """Give the bytes of `manifest.json`; ManifestInvalid if it says nonsense."""
    _check(manifest)
    return seal("manifest", _content(manifest), key)


def digest(signed: bytes) -> str:
    """Give the digest of a manifest file, by which the next one names it."""
    return hashlib.sha256(signed).hexdigest()


def read_manifest(folder: Path, key: Ed25519PublicKey) -> Manifest:
    """Read and check the manifest of a release folder.

    Raises
    ------
    ManifestInvalid
        If it is missing, not signed by `key`, not in its one spelling, or of another folder.
    """
    try:
        fd = os.open(folder / FILE_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            signed = file.read()
    except OSError as error:
        raise ManifestInvalid(f"manifest.json cannot be read: {error.strerror}") from None
    manifest = parse(signed, key)
    if manifest.release != folder.name:
        raise ManifestInvalid(f"the manifest is that of another release ({manifest.release})")
    return manifest


def parse(signed: bytes, key: Ed25519PublicKey) -> Manifest:
    """Check the signature of a manifest's bytes and read it; ManifestInvalid as above."""
    try:
        content = unseal("manifest", signed, key)
    except NotSigned as error:
        raise ManifestInvalid(str(error)) from None
    if content.get("format") != FORMAT:
        raise ManifestInvalid(f"format {content.get('format')!r} is unknown to this version")
    try:
        manifest = _SHAPE.validate_python(content)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
        raise ManifestInvalid(f"missing or of a wrong type: {where}") from None
    _check(manifest)
    if _differs(content, manifest):
        raise ManifestInvalid("it says more, or other totals, than a manifest does")
    return manifest


def _content(manifest: Manifest) -> dict[str, Any]:
    # Not asdict, which copies deeply: a manifest may list thousands of instances.
    content = {each.name: getattr(manifest, each.name) for each in fields(Manifest)}
    content["instances"] = [
        {name: getattr(entry, name) for name in ReleasedInstance.__slots__}
        for entry in manifest.instances
    ]
    return {"format": FORMAT, **content, "totals": dict(manifest.totals)}


def _differs(content: Mapping[str, Any], manifest: Manifest) -> bool:
    return json.dumps(content, sort_keys=True) != json.dumps(_content(manifest), sort_keys=True)


def _check(manifest: Manifest) -> None:
    """Refuse what could never be sent: a name that is a path, a UID that is none."""
    if manifest.generation < 1 or manifest.sequence < 1:
        raise ManifestInvalid("generation and sequence count from 1")
    if not _PLAIN_NAME.fullmatch(manifest.study):
        raise ManifestInvalid("study is not a plain name")
    files = [entry.file for entry in manifest.instances]
    if len(set(files)) != len(files):
        raise ManifestInvalid("two instances name one file")
    variants = {(entry.sop_instance_uid, entry.variant) for entry in manifest.instances}
    if len(variants) != len(files):
        raise ManifestInvalid("one instance is listed twice")
    for number, entry in enumerate(manifest.instances):
        sound = (
            _PLAIN_NAME.fullmatch(entry.file)
            and entry.file != FILE_NAME
            and _UID.fullmatch(entry.sop_instance_uid)
            and _UID.fullmatch(entry.sop_class_uid)
            and _UID.fullmatch(entry.transfer_syntax_uid)
            and _SHA256.fullmatch(entry.sha256)
            and entry.bytes > 0
        )
        if not sound:
            raise ManifestInvalid(
                f"instances[{number}]: file name, UID, size or digest is not lawful"
            )
