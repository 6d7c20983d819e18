"""PROCESSING -> RELEASED: names, manifest, fsync, and the one rename that is the release.

Files first, row second. A run that ends between the two finds the release in its place and only
writes the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select, update

from node import __version__, disk
from node.inbox.index import AnyRow
from node.inbox.states import InstanceState, StudyState, move_study
from node.inbox.tables import generation, instance, study
from node.outbox import manifest as manifests
from node.outbox.chain import Head
from node.outbox.manifest import FILE_NAME, Manifest, ReleasedInstance
from node.process.recording import facts_of, variants_of
from node.process.staging import staged_files, staging_folder
from node.process.workplace import Transaction, Workplace
from node.profile.actions import Option

_RELEASED_MODE = 0o440
_FOLDER_MODE = 0o750


@dataclass(slots=True)
class Chain:
    """The newest manifest, which the next one names; `process` alone adds to the chain."""

    head: Head


@dataclass(frozen=True, slots=True)
class Released:
    """A release that lies in the outbox."""

    sequence: int
    digest: str
    instances: int
    bytes: int
    patient_id: str
    study_instance_uid: str


def publish(place: Workplace, chain: Chain, row: AnyRow, members: Sequence[AnyRow]) -> Released:
    """Move a generation's files from staging to the releases, with their signed manifest."""
    folder = staging_folder(place.outbox, row.id, row.generation)
    target = place.outbox.releases / folder.name
    if not target.exists():
        listed = _name_files(place, row, folder, members)
        manifest = _manifest(place, chain, row, listed)
        _write_manifest(folder, manifests.sign(manifest, place.signing_key))
        folder.chmod(_FOLDER_MODE)
        disk.fsync_dir(folder)
        disk.rename_noreplace(folder, target)
        disk.fsync_dir(place.outbox.releases)
        disk.fsync_dir(place.outbox.staging)
    manifest = manifests.read_manifest(target, place.signing_key.public_key())
    digest = manifests.digest((target / FILE_NAME).read_bytes())
    if manifest.sequence > chain.head.sequence:
        chain.head = Head(manifest.sequence, digest)
    totals, facts = manifest.totals, facts_of(members[0])
    return Released(
        sequence=manifest.sequence,
        digest=digest,
        instances=totals["instances"],
        bytes=totals["bytes"],
        patient_id=facts.patient_id,
        study_instance_uid=facts.study_instance_uid,
    )


def record_release(transaction: Transaction, row: AnyRow, released: Released) -> None:
    """Write down that a generation is out, and open the next one if instances wait for it."""
    conn = transaction.conn
    conn.execute(
        update(instance)
        .where(
            instance.c.study == row.id,
            instance.c.generation == row.generation,
            instance.c.state == InstanceState.DEIDENTIFIED,
        )
        .values(released=True)
    )
    conn.execute(
        update(generation)
        .where(generation.c.study == row.id, generation.c.number == row.generation)
        .values(
            released_at=transaction.wall,
            released_steady=transaction.now,
            sequence=released.sequence,
            instances=released.instances,
            manifest_digest=released.digest,
            patient_id=released.patient_id,
            study_instance_uid=released.study_instance_uid,
        )
    )
    move_study(
        conn,
        row.id,
        StudyState.PROCESSING,
        StudyState.RELEASED,
        transaction.now,
        reason="",
        override="",
        all_generations=False,
    )
    transaction.tell(
        "study_released",
        row.id,
        generation=row.generation,
        instances=released.instances,
        bytes=released.bytes,
    )
    reopen_for_late_instances(transaction, row)


def reopen_for_late_instances(transaction: Transaction, row: AnyRow) -> None:
    """Take a released study up again if instances came while its generation was at work."""
    late = select(instance.c.id).where(
        instance.c.study == row.id,
        instance.c.state == InstanceState.RECEIVED,
        instance.c.generation.is_(None),
    )
    if transaction.conn.execute(late.limit(1)).scalar() is None:
        return
    move_study(
        transaction.conn,
        row.id,
        StudyState.RELEASED,
        StudyState.RECEIVING,
        transaction.now,
        first_arrival_steady=study.c.last_arrival_steady,
    )
    transaction.tell("study_reopened", row.id)


def _name_files(
    place: Workplace, row: AnyRow, folder: Path, members: Sequence[AnyRow]
) -> list[ReleasedInstance]:
    """Give each file its name in the release, and remove what is not of it."""
    retained = Option.RETAIN_UIDS in place.recipes[row.route].profile.options
    listed: list[ReleasedInstance] = []
    for one in members:
        # Where UIDs are retained they are the original's, which no name may show.
        name = one.id if retained else one.output_sop_instance_uid
        variants = variants_of(one)
        syntaxes = [variant.syntax for variant in variants]
        files = staged_files(folder, name, syntaxes)
        for made, final in zip(staged_files(folder, one.id, syntaxes), files, strict=True):
            if made != final and made.exists():
                final.unlink(missing_ok=True)  # the same, of a run that ended before its release
                disk.rename_noreplace(made, final)
        listed.append(_released(one, files[0]))
        listed += [
            replace(
                listed[-1], file=path.name, transfer_syntax_uid=variant.syntax,
                bytes=variant.bytes, sha256=variant.sha256, variant=variant.syntax,
            )
            for variant, path in zip(variants, files[1:], strict=True)
        ]  # fmt: skip
    expected = {entry.file for entry in listed}
    for path in folder.iterdir():
        if path.name not in expected:
            path.unlink()
    return listed


def _manifest(
    place: Workplace, chain: Chain, row: AnyRow, listed: Sequence[ReleasedInstance]
) -> Manifest:
    profile = place.recipes[row.route].profile
    route = next(one for one in place.config.effective_routes if one.name == row.route)
    return Manifest(
        study=row.id,
        generation=row.generation,
        sequence=chain.head.sequence + 1,
        previous=chain.head.digest,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        software=f"deid-node {__version__}",
        route=route.name,
        destinations=route.destinations,
        profile=profile.name,
        profile_digest=profile.digest,
        retains=profile.retains,
        domain=profile.domain,
        key_fingerprint=place.key_fingerprint,
        instances=tuple(listed),
        overrides=(row.override,) if row.override else (),
    )


def _released(one: AnyRow, path: Path) -> ReleasedInstance:
    facts = facts_of(one)
    return ReleasedInstance(
        sop_instance_uid=one.output_sop_instance_uid,
        file=path.name,
        sop_class_uid=facts.sop_class_uid,
        transfer_syntax_uid=facts.transfer_syntax_uid,
        modality=facts.modality,
        bytes=one.output_bytes,
        sha256=one.output_sha256,
    )


def _write_manifest(folder: Path, signed: bytes) -> None:
    (folder / FILE_NAME).unlink(missing_ok=True)
    disk.write_durably(folder / FILE_NAME, signed, mode=_RELEASED_MODE)
