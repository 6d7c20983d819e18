"""An instance goes out in one version only, whatever anybody says: no override passes this.

The research PACS knows an instance by its SOP Instance UID. Two files of one UID would leave it
with either, and nobody would know with which. The same bytes may go out again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import bindparam, select, tuple_

from node.inbox.index import AnyRow
from node.inbox.states import InstanceState
from node.inbox.tables import instance
from node.outbox.manifest import read_manifest
from node.process.receipts import is_withdrawn
from node.process.staging import release_name
from node.process.workplace import Transaction, Workplace

_twin = instance.alias()
_mine, _other = instance.c, _twin.c
_STUDIES_WITH = (
    select(_other.study)
    .join_from(instance, _twin, _other.sop_digest == _mine.sop_digest)
    .where(
        _mine.study == bindparam("study_id"),
        _mine.generation == bindparam("number"),
        _mine.state == InstanceState.DEIDENTIFIED,
        _other.study != bindparam("study_id"),
        _other.state.in_((InstanceState.RECEIVED, InstanceState.DEIDENTIFIED)),
        _other.output_sop_instance_uid.in_(("", _mine.output_sop_instance_uid)),
        _other.released
        | (tuple_(_other.arrived_at, _other.id) < tuple_(_mine.arrived_at, _mine.id)),
    )
    .distinct()
    .order_by(_other.study)
)


def other_versions(
    place: Workplace,
    transaction: Transaction,
    row: AnyRow,
    members: Sequence[AnyRow],
    out: Collection[str],
) -> Iterator[str]:
    """Say why members of a generation would be second versions; `out` is of `out_otherwise`."""
    uids = Counter(one.output_sop_instance_uid for one in members)
    if repeated := sum(1 for count in uids.values() if count > 1):
        yield f"{repeated} SOP Instance UIDs are used by more than one instance: keep one of each"
    if out:
        yield (
            f"{len(out)} instances are out already in another version under the same SOP Instance"
            " UID: exclude them, or give the profile another pseudonym domain"
        )
    if others := _studies_with(place, transaction, row):
        yield (
            "instances have the SOP Instance UID of instances of other studies"
            f" ({', '.join(others)}): exclude them, or reject or withdraw the others first"
        )


def out_otherwise(place: Workplace, row: AnyRow, members: Sequence[AnyRow]) -> set[str]:
    """Give the new UIDs under which earlier generations released other bytes.

    The manifests are asked, which outlive the index and every purge.
    """
    own = {one.output_sop_instance_uid: one.output_sha256 for one in members}
    found: set[str] = set()
    for number in range(1, row.generation):
        folder = place.outbox.releases / release_name(row.id, number)
        if not folder.exists():
            continue
        manifest = read_manifest(folder, place.signing_key.public_key())
        found.update(
            one.sop_instance_uid
            for one in manifest.instances
            if not one.variant and own.get(one.sop_instance_uid, one.sha256) != one.sha256
        )
    return found


def _studies_with(place: Workplace, transaction: Transaction, row: AnyRow) -> list[str]:
    """Give the other studies that have an instance of the generation under its SOP Instance UID.

    Only those count where it is out, or may still go out and came earlier: of two studies the
    later one waits. Under another pseudonym domain it becomes another UID, and is no matter.
    """
    which = {"study_id": row.id, "number": row.generation}
    studies = transaction.conn.execute(_STUDIES_WITH, which).scalars()
    return [one for one in studies if not is_withdrawn(place.outbox, one)]
