"""A generation whose instances all have an outcome: its rows, read once for all who judge it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import bindparam, select

from node.inbox.index import AnyRow
from node.inbox.states import InstanceState
from node.inbox.tables import generation, instance
from node.process.outcomes import facts_of
from node.process.workplace import Transaction
from node.validate import InstanceFacts

GENERATION = select(generation).where(
    generation.c.study == bindparam("study_id"), generation.c.number == bindparam("number")
)
_LEFT = (
    select(
        instance.c.id, instance.c.state, instance.c.waits_for, instance.c.conflict_with,
        instance.c.issuer_of_patient_id, instance.c.patient_id, instance.c.sop_digest,
        instance.c.output_sop_instance_uid, instance.c.output_sha256, instance.c.output_bytes,
        instance.c.variants, instance.c.facts,
    )
    .where(
        instance.c.study == bindparam("study_id"),
        instance.c.generation == bindparam("number"),
        instance.c.state.in_((InstanceState.DEIDENTIFIED, InstanceState.RECEIVED)),
    )
    .order_by(instance.c.id)
)  # fmt: skip


@dataclass(frozen=True)
class Finished:
    """The study, the generation that it has come to, and which of its instances may still leave."""

    study: AnyRow
    generation: Any
    left: Sequence[AnyRow]

    @cached_property
    def members(self) -> Sequence[AnyRow]:
        """The instances that would go out."""
        return [one for one in self.left if one.state == InstanceState.DEIDENTIFIED]

    @cached_property
    def facts(self) -> Sequence[InstanceFacts]:
        """What the validator saw of each member's output."""
        return [facts_of(one) for one in self.members]

    def without(self, names: Collection[str]) -> Finished:
        """Leave instances out."""
        left = [one for one in self.left if one.id not in names]
        return Finished(self.study, self.generation, left)


def finished(transaction: Transaction, row: AnyRow) -> Finished:
    """Read the generation that a study is at."""
    which = {"study_id": row.id, "number": row.generation}
    begun = transaction.conn.execute(GENERATION, which).one_or_none()
    return Finished(row, begun, transaction.conn.execute(_LEFT, which).all())
