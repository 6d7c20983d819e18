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
from node.inbox.states import InstanceState, StudyState, move_instances, move_study
from node.inbox.tables import generation, instance, study
from node.outbox import manifest as manifests
from node.outbox.chain import Head
from node.outbox.manifest import FILE_NAME, Manifest, ReleasedInstance
from node.process.finished import Finished
from node.process.outcomes import facts_of, variants_of
from node.process.staging import release_name, staged_files, staging_folder
from node.process.workplace import Transaction, Workplace
from node.profile.actions import Option
from node.validate import InstanceFacts

_RELEASED_MODE = 0o440
_FOLDER_MODE = 0o750

_RECORD = (
    update(generation)
    .where(generation.c.study == bindparam("study_id"), generation.c.number == bindparam("of"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                "released_at", "released_steady", "sequence", "instances", "manifest_digest",
                "patient_id", "study_instance_uid",
            )
        }
    )
)  # fmt: skip
_MINE = (
    instance.c.study == bindparam("study_id"),
    instance.c.generation == bindparam("of"),
)
_DONE = (*_MINE, instance.c.state == InstanceState.DEIDENTIFIED)
_MEMBERS = select(
    instance.c.id, instance.c.output_sop_instance_uid, instance.c.output_sha256
).where(*_DONE)
_FACTS = select(instance.c.facts).where(instance.c.id == bindparam("name"))
_MARK = update(instance).where(*_DONE).values(released=True)
_TAKE_BACK = (
    update(instance)
    .where(*_MINE, instance.c.state == InstanceState.RECEIVED)
    .values(generation=None)
)
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


def publish(place: Workplace, chain: Chain, row: AnyRow, sound: Finished) -> None:
    """Move a generation's files from staging to the releases, with their signed manifest."""
    folder = staging_folder(place.outbox, row.id, row.generation)
    listed = _name_files(place, row, folder, sound)
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
    facts = facts_of(conn.execute(_FACTS, {"name": out[0]}).one()) if out else None
    totals = manifest.totals
    conn.execute(
        _RECORD,
        {
            "study_id": row.id,
            "of": row.generation,
            "new_released_at": transaction.wall,
            "new_released_steady": transaction.now,
            "new_sequence": manifest.sequence,
            "new_instances": totals["instances"],
            "new_manifest_digest": manifests.digest((folder / FILE_NAME).read_bytes()),
            "new_patient_id": facts.patient_id if facts else "",
            "new_study_instance_uid": facts.study_instance_uid if facts else "",
        },
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


def _mark_listed(transaction: Transaction, row: AnyRow, manifest: Manifest) -> list[str]:
    """Mark the instances that a manifest lists as released, take the others back; give the first.

    The same output may be that of several rows only where a copy was asked for again, and those
    never share a generation.
    """
    conn, which = transaction.conn, {"study_id": row.id, "of": row.generation}
    listed = {(one.sop_instance_uid, one.sha256) for one in manifest.instances}
    out: list[str] = []
    missed: dict[str, dict[str, None]] = {}
    for name, uid, sha256 in conn.execute(_MEMBERS, which):
        if (uid, sha256) in listed:
            out.append(name)
        else:
            missed[name] = {"generation": None}
    move_instances(conn, InstanceState.DEIDENTIFIED, InstanceState.RECEIVED, missed)
    conn.execute(_MARK, which)
    conn.execute(_TAKE_BACK, which)
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
    place: Workplace, row: AnyRow, folder: Path, sound: Finished
) -> list[ReleasedInstance]:
    """Give each file its name in the release, and remove what is not of it."""
    retained = Option.RETAIN_UIDS in place.recipes[row.route].profile.options
    listed: list[ReleasedInstance] = []
    there = {path.name for path in folder.iterdir()}
    for one, facts in zip(sound.members, sound.facts, strict=True):
        # Where UIDs are retained they are the original's, which no name may show.
        name = one.id if retained else one.output_sop_instance_uid
        variants = variants_of(one)
        syntaxes = [variant.syntax for variant in variants]
        files = staged_files(folder, name, syntaxes)
        for made, final in zip(staged_files(folder, one.id, syntaxes), files, strict=True):
            if made != final and made.name in there:
                if final.name in there:  # the same, of a run that ended before its release
                    final.unlink()
                disk.rename_noreplace(made, final)
        listed.append(_released(one, facts, files[0]))
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


def _released(one: AnyRow, facts: InstanceFacts, path: Path) -> ReleasedInstance:
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
