"""The twin of an arrival: an instance that is there already under its SOP Instance UID.

With the same dataset it is a copy, with another one a conflict. Nothing here touches a file but to
compare two datasets.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, select

from node.inbox.dataset_digest import dataset_digest
from node.inbox.header import Unreadable
from node.inbox.originals import original
from node.inbox.states import InstanceState
from node.inbox.tables import generation, instance
from node.process.receipts import redelivery_asked_at
from node.process.workplace import Transaction, Workplace

_TWINS = (
    select(instance, generation.c.purged_at.label("release_purged_at"))
    .join_from(
        instance,
        generation,
        (generation.c.study == instance.c.study) & (generation.c.number == instance.c.generation),
        isouter=True,
    )
    .where(
        instance.c.study.in_(bindparam("studies", expanding=True)),
        instance.c.sop_digest.in_(bindparam("digests", expanding=True)),
        instance.c.state.not_in((InstanceState.DUPLICATE, InstanceState.REJECTED)),
    )
    .order_by(instance.c.arrived_at, instance.c.id)
)


def apart(keys: Collection[tuple[str, str]]) -> dict[str, list[str]]:
    """Give the studies and the digests of pairs: for pairs SQLite would scan the whole table."""
    return {
        "studies": list({study_id for study_id, _ in keys}),
        "digests": list({digest for _, digest in keys}),
    }


class Twins:
    """The twins of a batch of arrivals, looked up at once, and those among the batch itself."""

    def __init__(
        self, place: Workplace, transaction: Transaction, keys: Collection[tuple[str, str]]
    ) -> None:
        """Look up the instances of these studies and digests of SOP Instance UIDs."""
        self._place = place
        self._tx = transaction
        self._twins = self._known(keys)
        self._paths: dict[str, Path] = {}
        self._redeliveries: dict[str, float] = {}

    def judge(self, row: dict[str, Any], path: Path) -> None:
        """Write into a new instance's row whether it is new, a copy, or in conflict."""
        twins = self._twins.setdefault((row["study"], row["sop_digest"]), [])
        self._paths[row["id"]] = path
        if twins:
            self._compare(row, path, twins)
        twins.append(row)

    def _known(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], list[Any]]:
        twins: dict[tuple[str, str], list[Any]] = {}
        if not keys:
            return twins
        for row in self._tx.conn.execute(_TWINS, apart(keys)).mappings():
            twins.setdefault((row["study"], row["sop_digest"]), []).append(row)
        return twins

    def _compare(self, row: dict[str, Any], path: Path, twins: list[Any]) -> None:
        row["source_digest"] = dataset_digest(path)
        for twin in reversed(twins):
            if not self._is_same(row, path, twin):
                continue
            if wanted := self._why_wanted_again(twin):
                row["reason"] = wanted
                return
            row["state"] = InstanceState.DUPLICATE
            row["reason"] = f"the same as {twin['id']}"
            self._tx.tell("instance_duplicate", row["study"], instance=row["id"])
            return
        row["conflict_with"] = twins[0]["id"]

    def _why_wanted_again(self, twin: Any) -> str:
        """Say why a copy of what is out is processed anew; empty if it is just a copy."""
        if twin.get("release_purged_at"):
            return "sent again after its release was purged"
        asked = self._redeliveries.get(twin["study"])
        if asked is None:
            asked = redelivery_asked_at(self._place.outbox, twin["study"])
            self._redeliveries[twin["study"]] = asked
        return "sent again after its redelivery was asked for" if asked > twin["arrived_at"] else ""

    def _is_same(self, row: dict[str, Any], path: Path, twin: Any) -> bool:
        """Tell whether the datasets are; where nobody can say, it is a conflict for a person."""
        known = str(twin["source_digest"])
        try:
            if not known:
                known = dataset_digest(self._path_of(twin))
            # What differs may only have been made in another way.
            return known == row["source_digest"] or known == dataset_digest(path, like=known)
        except (OSError, Unreadable, ValueError):
            return False

    def _path_of(self, twin: Any) -> Path:
        known = self._paths.get(twin["id"])
        return known or original(self._place.inbox, twin["study"], twin["id"])
