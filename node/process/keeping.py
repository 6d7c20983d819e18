"""Of the versions that came of one instance, a person keeps the first or the latest."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update

from node.inbox.decisions import Keep
from node.inbox.index import AnyRow
from node.inbox.states import InstanceState
from node.inbox.tables import instance
from node.process.refusal import Refused
from node.process.workplace import Transaction


def keep_one(transaction: Transaction, row: AnyRow, keep: Keep, who: str) -> None:
    """Leave out all versions but one of each instance that the generation has several of.

    What is out cannot be left out any more, so then only the first can be kept.
    """
    conflicts = [group for group in _versions(transaction, row) if _is_conflict(group)]
    if not conflicts:
        raise Refused("no instances are in conflict")
    for versions in conflicts:
        out = [one for one in versions if one.released]
        if out and keep is Keep.LATEST:
            raise Refused("the first is out already: keep the first, or withdraw the study")
        kept = (out or versions)[0 if keep is Keep.FIRST else -1]
        losers = [one.id for one in versions if one is not kept and not one.released]
        transaction.conn.execute(
            update(instance)
            .where(instance.c.id.in_(losers))
            .values(
                state=InstanceState.EXCLUDED,
                reason=f"the {keep} of a conflict was kept",
                excluded_by=who,
                waits_for=None,
            )
        )
        settled = [one.id for one in versions]
        transaction.conn.execute(
            update(instance).where(instance.c.id.in_(settled)).values(conflict_with=None)
        )


def _versions(transaction: Transaction, row: AnyRow) -> Sequence[list[AnyRow]]:
    """Group what is out and what the generation holds by SOP Instance UID, the earliest first."""
    columns = instance.c
    query = (
        select(columns.id, columns.sop_digest, columns.released, columns.conflict_with)
        .where(
            columns.study == row.id,
            columns.state.in_((InstanceState.DEIDENTIFIED, InstanceState.RECEIVED)),
            columns.released | (columns.generation == row.generation),
        )
        .order_by(columns.arrived_at, columns.id)
    )
    groups: dict[str, list[AnyRow]] = {}
    for one in transaction.conn.execute(query):
        groups.setdefault(one.sop_digest, []).append(one)
    return list(groups.values())


def _is_conflict(versions: Sequence[AnyRow]) -> bool:
    """Tell whether a person must choose: a copy that was asked for again is no other version."""
    undecided = [one for one in versions if not one.released]
    return len(undecided) > 1 or any(one.conflict_with for one in undecided)
