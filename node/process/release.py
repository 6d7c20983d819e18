"""PROCESSING -> RELEASED: names, manifest, fsync, and the one rename that is the release.

Files first, row second. A run that ends between the two finds the release in its place and only
writes the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import bindparam, select, update

from node import __version__, disk
from node.inbox.index import AnyRow
from node.inbox.states import InstanceState, StudyState, move_instance, move_study
from node.inbox.tables import generation, instance, study
from node.outbox import manifest as manifests
from node.outbox.chain import Head
from node.outbox.manifest import FILE_NAME, Manifest, ReleasedInstance
from node.process.outcomes import facts_of, variants_of
from node.process.staging import release_name, staged_files, staging_folder
from node.process.workplace import Transaction, Workplace
from node.profile.actions import Option

_RELEASED_MODE = 0o440
_FOLDER_MODE = 0o750

_LATE = (
    select(study.c.last_arrival_steady)
    .join(instance, instance.c.study == study.c.id)
    .where(
        study.c.id == bindparam("study_id"),
        instance.c.state == InstanceState.RECEIVED,
        instance.c.generation.is_(None),
    )
    .limit(1)
)


@dataclass(slots=True)
class Chain:
    """The newest manifest, which the next one names; `process` alone adds to the chain."""

    head: Head


def is_out(place: Workplace, row: AnyRow) -> bool:
    """Tell whether the generation of a study at work lies in the releases, whatever rows say."""
    return (place.outbox.releases / release_name(row.id, row.generation)).exists()


def publish(place: Workplace, chain: Chain, row: AnyRow, members: Sequence[AnyRow]) -> None:
    """Move a generation's files from staging to the releases, with their signed manifest."""
    folder = staging_folder(place.outbox, row.id, row.generation)
    listed = _name_files(place, row, folder, members)
    manifest = _manifest(place, chain, row, listed)
    signed = manifests.sign(manifest, place.signing_key)
    _write_manifest(folder, signed)
    folder.chmod(_FOLDER_MODE)
    disk.fsync_dir(folder)
    disk.rename_noreplace(folder, place.outbox.releases / folder.name)
    # It is out: whatever fails from here on, its number is taken.
    chain.head = Head(manifest.sequence, manifests.digest(signed))
    disk.fsync_dir(place.outbox.releases)
    disk.fsync_dir(place.outbox.staging)


def record_release(place: Workplace, transaction: Transaction, row: AnyRow) -> None:
    """Write down that a generation is out, and open the next one if instances wait for it.

    The manifest is asked what went out, never the rows: an instance that it does not list waits
    for the next generation. ManifestInvalid if the manifest cannot be trusted.
    """
    conn = transaction.conn
    folder = place.outbox.releases / release_name(row.id, row.generation)
    manifest = manifests.read_manifest(folder, place.signing_key.public_key())
    out = _mark_listed(transaction, row, manifest)
    facts = facts_of(out[0]) if out else None
    totals = manifest.totals
    conn.execute(
        update(generation)
        .where(generation.c.study == row.id, generation.c.number == row.generation)
        .values(
            released_at=transaction.wall,
            released_steady=transaction.now,
            sequence=manifest.sequence,
            instances=totals["instances"],
            manifest_digest=manifests.digest((folder / FILE_NAME).read_bytes()),
            patient_id=facts.patient_id if facts else "",
            study_instance_uid=facts.study_instance_uid if facts else "",
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
        instances=totals["instances"],
        bytes=totals["bytes"],
    )
    reopen_for_late_instances(transaction, row)


def _mark_listed(transaction: Transaction, row: AnyRow, manifest: Manifest) -> list[AnyRow]:
    """Mark the instances that a manifest lists as released, take the others back; give the first.

    The same output may be that of several rows only where a copy was asked for again, and those
    never share a generation.
    """
    listed = {(one.sop_instance_uid, one.sha256) for one in manifest.instances}
    mine = (instance.c.study == row.id, instance.c.generation == row.generation)
    done = (*mine, instance.c.state == InstanceState.DEIDENTIFIED)
    members = transaction.conn.execute(select(instance).where(*done)).all()
    out: list[AnyRow] = []
    missed: list[AnyRow] = []
    for one in members:
        known = (one.output_sop_instance_uid, one.output_sha256) in listed
        (out if known else missed).append(one)
    for one in missed:
        move_instance(
            transaction.conn,
            one.id,
            InstanceState.DEIDENTIFIED,
            InstanceState.RECEIVED,
            generation=None,
        )
    transaction.conn.execute(update(instance).where(*done).values(released=True))
    transaction.conn.execute(
        update(instance)
        .where(*mine, instance.c.state == InstanceState.RECEIVED)
        .values(generation=None)
    )
    return out


def reopen_for_late_instances(transaction: Transaction, row: AnyRow) -> None:
    """Take a released study up again if instances came while its generation was at work."""
    arrived = transaction.conn.execute(_LATE, {"study_id": row.id}).scalar()
    if arrived is None:
        return
    move_study(
        transaction.conn,
        row.id,
        StudyState.RELEASED,
        StudyState.RECEIVING,
        transaction.now,
        first_arrival_steady=arrived,
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
        # Keyed: the words may name somebody, and a manifest holds nothing of the original.
        overrides=(place.digests.of(row.override),) if row.override else (),
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
