"""What the manifests in the outbox say of releases becomes rows again, where those are lost.

Of a release whose originals are purged the manifest is all there is. It tells what went out, and
not which originals that was: so the study gets a row as RELEASED, its counts, its deliveries' name
and its retention back, and whoever sends it again opens a new study, which comes out the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from node.inbox.states import InstanceState, StudyState
from node.inbox.tables import event, generation, instance, study


@dataclass(frozen=True, slots=True)
class KnownInstance:
    """What a manifest says of one instance that went out."""

    sop_instance_uid: str
    sha256: str
    bytes: int
    sop_class_uid: str
    transfer_syntax_uid: str
    modality: str


@dataclass(frozen=True, slots=True)
class KnownRelease:
    """What a manifest in the outbox says of a generation; `purged`: its files are gone."""

    study: str
    number: int
    sequence: int
    route: str
    profile: str
    profile_digest: str
    domain: str
    key_fingerprint: str
    released_at: float
    manifest_digest: str
    instances: tuple[KnownInstance, ...]
    purged: bool


def know_releases(conn: Connection, releases: Sequence[KnownRelease]) -> list[str]:
    """Give releases their rows back, and tell what was done."""
    done = []
    with_originals = set(conn.execute(select(study.c.id)).scalars())
    for release in sorted(releases, key=lambda one: (one.study, one.number)):
        if release.study not in with_originals:
            _rebuild_study(conn, release)
        if _rebuild_generation(conn, release):
            if release.study in with_originals:
                _make_anew(conn, release)
            else:
                _rebuild_instances(conn, release)
            done.append(f"{release.study}-g{release.number}: is known as released again")
    return done


def _rebuild_study(conn: Connection, release: KnownRelease) -> None:
    """Have the study there as RELEASED; its original UID is known to nobody any more."""
    modalities = [one.modality for one in release.instances if one.modality]
    row = upsert(study).values(
        id=release.study,
        state=StudyState.RELEASED,
        state_since=release.released_at,
        opened_at=release.released_at,
        route=release.route,
        modality=modalities[0] if modalities else "",
        purged_at=release.released_at,
    )
    if conn.execute(row.on_conflict_do_nothing()).rowcount:
        detail = json.dumps({"generation": release.number, "rebuilt": True})
        conn.execute(
            insert(event).values(
                study=release.study, at=release.released_at, name="study_released", detail=detail
            )
        )


def _rebuild_generation(conn: Connection, release: KnownRelease) -> bool:
    """Know a release again, so that the next generation gets a number of its own."""
    row = upsert(generation).values(
        study=release.study,
        number=release.number,
        sequence=release.sequence,
        route=release.route,
        profile=release.profile,
        profile_digest=release.profile_digest,
        domain=release.domain,
        key_fingerprint=release.key_fingerprint,
        instances=len(release.instances),
        begun_at=release.released_at,
        released_at=release.released_at,
        released_steady=release.released_at,
        manifest_digest=release.manifest_digest,
        purged_at=release.released_at if release.purged else None,
    )
    made = conn.execute(row.on_conflict_do_nothing()).rowcount
    conn.execute(
        update(study)
        .where(study.c.id == release.study, study.c.generation < release.number)
        .values(generation=release.number)
    )
    return bool(made)


def _make_anew(conn: Connection, release: KnownRelease) -> None:
    """Nobody knows which of a study's originals are out: a `requeue` makes all of them anew."""
    conn.execute(update(study).where(study.c.id == release.study).values(all_generations=True))


def _rebuild_instances(conn: Connection, release: KnownRelease) -> None:
    rows = [
        {
            "id": f"{release.study}-g{release.number}-{number:06d}",
            "study": release.study,
            "series": 0,
            "state": InstanceState.DEIDENTIFIED,
            "released": True,
            "purged": True,
            "generation": release.number,
            "arrived_at": release.released_at,
            "bytes": one.bytes,
            "sop_class_uid": one.sop_class_uid,
            "transfer_syntax_uid": one.transfer_syntax_uid,
            "modality": one.modality,
            "sop_digest": "",
            "series_digest": "",
            "patient_digest": "",
            "output_sop_instance_uid": one.sop_instance_uid,
            "output_sha256": one.sha256,
            "output_bytes": one.bytes,
        }
        for number, one in enumerate(release.instances, start=1)
    ]
    if rows:
        conn.execute(insert(instance), rows)
