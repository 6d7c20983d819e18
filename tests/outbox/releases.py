"""Releases built for tests, as `process` would make them, by ordinals."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian

from node import disk
from node.outbox import chain, manifest
from node.outbox.layout import Outbox
from node.outbox.manifest import Manifest, ReleasedInstance
from node.outbox.signing import ensure_signing_key
from tests.factories import make_instance, write_instance


def make_outbox(root: Path) -> tuple[Outbox, Ed25519PrivateKey]:
    """Make an empty outbox with its signing key."""
    outbox = Outbox(root / "outbox")
    outbox.create()
    keys = root / "keys"
    keys.mkdir(exist_ok=True)
    return outbox, ensure_signing_key(keys / "manifest.key", outbox.public_key)


def make_release(
    outbox: Outbox,
    key: Ed25519PrivateKey,
    study: int = 1,
    generation: int = 1,
    instances: int = 3,
    destinations: Sequence[str] = ("research",),
    syntax: UID = ExplicitVRLittleEndian,
    modality: str = "CT",
    rows: int = 16,
    series: int = 0,
    variant: UID | None = None,
    spoilt: int = 0,
) -> Manifest:
    """Make a signed release of small synthetic images and give its manifest.

    A generation is a series of its own unless `series` says otherwise. With `variant`, each
    instance lies there in that syntax too. Instance number `spoilt` has no readable data set.
    """
    name = f"study{study:03d}-g{generation}"
    folder = outbox.staging / name
    folder.mkdir(parents=True)
    entries = []
    for number in range(1, instances + 1):
        image = make_instance(
            patient=study, series=series or generation, instance=number, modality=modality,
            rows=rows, syntax=syntax,
        )  # fmt: skip
        if syntax.is_encapsulated:  # its bytes are no such image, and nobody here decodes it
            image.PixelData = encapsulate([image.PixelData])
        path = write_instance(folder / f"{image.SOPInstanceUID}.dcm", image)
        if number == spoilt:
            path.write_bytes(path.read_bytes().partition(b"\x08\x00")[0] + b"\xff" * 1000)
        path.chmod(0o440)
        entries.append(_entry(path, image.SOPInstanceUID, image.SOPClassUID, syntax, modality))
        if variant is not None:
            image.file_meta.TransferSyntaxUID = variant
            path = write_instance(path.with_suffix(f".{variant}.dcm"), image)
            entry = _entry(path, image.SOPInstanceUID, image.SOPClassUID, variant, modality)
            entries.append(replace(entry, variant=str(variant)))
    return publish(outbox, key, folder, tuple(entries), destinations)


def publish(
    outbox: Outbox,
    key: Ed25519PrivateKey,
    folder: Path,
    entries: tuple[ReleasedInstance, ...],
    destinations: Sequence[str],
) -> Manifest:
    """Sign a staged folder's manifest and rename the folder among the releases."""
    head = chain.find_head(outbox.releases, key.public_key())
    study, _, generation = folder.name.rpartition("-g")
    made = Manifest(
        study=study, generation=int(generation), sequence=head.sequence + 1, previous=head.digest,
        created="2026-01-02T03:04:05Z", software="0.1.0", route="default",
        destinations=tuple(destinations), profile="basic", profile_digest="0" * 64, retains=(),
        domain="default", key_fingerprint="0" * 16, instances=entries,
    )  # fmt: skip
    disk.write_durably(folder / manifest.FILE_NAME, manifest.sign(made, key), mode=0o440)
    disk.rename_noreplace(folder, outbox.releases / folder.name)
    return made


def _entry(path: Path, uid: str, sop_class: str, syntax: str, modality: str) -> ReleasedInstance:
    content = path.read_bytes()
    return ReleasedInstance(
        sop_instance_uid=str(uid), file=path.name, sop_class_uid=str(sop_class),
        transfer_syntax_uid=str(syntax), modality=modality, bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(), checks=("structure",),
    )  # fmt: skip


def release_of_many_classes(
    outbox: Outbox, key: Ed25519PrivateKey, classes: int, destinations: Sequence[str]
) -> Manifest:
    """Make a release with so many pairs of SOP class and transfer syntax, an instance each."""
    folder = outbox.staging / "manyclasses-g1"
    folder.mkdir(parents=True)
    entries = []
    for number in range(1, classes + 1):
        image = make_instance(instance=number, rows=2)
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = UID(f"1.2.826.0.1.9.{number}")
        path = write_instance(folder / f"{image.SOPInstanceUID}.dcm", image)
        syntax = ExplicitVRLittleEndian
        entries.append(_entry(path, image.SOPInstanceUID, image.SOPClassUID, syntax, "CT"))
    return publish(outbox, key, folder, tuple(entries), destinations)
