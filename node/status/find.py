"""Find studies by what people know of them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import or_, select

from node.config import NodeConfig
from node.inbox.tables import instance, study
from node.status.read import reading_index


def find_studies(config: NodeConfig, values: Sequence[str]) -> list[str]:
    """Give the ids of the studies that have one of these as Patient ID, accession number or UID."""
    with reading_index(config) as conn:
        if conn is None:
            return []
        columns = instance.c
        named = [columns.patient_id, columns.accession_number, columns.sop_instance_uid,
                 columns.series_instance_uid, columns.output_sop_instance_uid,
                 study.c.study_instance_uid]  # fmt: skip
        query = (
            select(study.c.id)
            .join(instance, columns.study == study.c.id)
            .where(or_(*(column.in_(values) for column in named)))
            .distinct()
            .order_by(study.c.id)
        )
        return list(conn.execute(query).scalars())
