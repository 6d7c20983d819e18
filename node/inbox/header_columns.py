"""What an instance's row keeps of its header; what is PHI beside a keyed digest of it."""

from __future__ import annotations

from typing import Any

from node.inbox.digests import Digests
from node.inbox.header import Header

#: Set to NULL when the original is purged; the digests stay.
PHI = (
    "sop_instance_uid", "series_instance_uid", "patient_id", "issuer_of_patient_id",
    "accession_number",
)  # fmt: skip


def header_columns(header: Header | None, digests: Digests) -> dict[str, Any]:
    """Give the columns of `instance` that come of a header; of None, an unreadable one, as well."""
    if header is None:
        return {
            "sop_class_uid": "", "transfer_syntax_uid": "", "modality": "",
            "called_ae_title": "", "calling_ae_title": "",
            "sop_digest": "", "sop_instance_uid": None,
            "series_digest": "", "series_instance_uid": None,
            "patient_digest": digests.of("", ""), "patient_id": "", "issuer_of_patient_id": "",
            "accession_digest": "", "accession_number": None,
        }  # fmt: skip
    accession = header.accession_number
    return {
        "sop_class_uid": header.sop_class_uid,
        "transfer_syntax_uid": header.transfer_syntax_uid,
        "modality": header.modality,
        "called_ae_title": header.called_ae_title,
        "calling_ae_title": header.calling_ae_title,
        "sop_digest": digests.of(header.sop_instance_uid),
        "sop_instance_uid": header.sop_instance_uid,
        "series_digest": digests.of(header.series_instance_uid),
        "series_instance_uid": header.series_instance_uid,
        "patient_digest": digests.of(header.issuer_of_patient_id, header.patient_id),
        "patient_id": header.patient_id,
        "issuer_of_patient_id": header.issuer_of_patient_id,
        "accession_digest": digests.of(accession) if accession else "",
        "accession_number": accession or None,
    }
