"""Encapsulated documents (PS3.3 A.45): a dummy of the same kind stands where one was.

Nobody can clean a PDF; the action of Table E.1-1 is D.
"""

from __future__ import annotations

from node.deid.dummies import encoded
from node.deid.element import Element
from node.deid.outcome import Quarantined
from node.deid.rebuild import Plan
from node.deid.treatment import Treatment

_PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj
xref
0 4
0000000000 65535 f\x20
0000000009 00000 n\x20
0000000052 00000 n\x20
0000000101 00000 n\x20
trailer<</Size 4/Root 1 0 R>>
startxref
162
%%EOF
"""
_CDA = b"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3">
<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
<id nullFlavor="MSK"/><code nullFlavor="MSK"/><title>REMOVED</title>
<effectiveTime nullFlavor="MSK"/><confidentialityCode nullFlavor="MSK"/>
</ClinicalDocument>
"""
_DOCUMENT_TAG = 0x00420011
_STL = bytes(84)  # binary STL: a header of 80 bytes and no triangles

#: By the SOP class: PDF, CDA, STL.
_DOCUMENTS = {
    "1.2.840.10008.5.1.4.1.1.104.1": _PDF,
    "1.2.840.10008.5.1.4.1.1.104.2": _CDA,
    "1.2.840.10008.5.1.4.1.1.104.3": _STL,
}


def _document(treatment: Treatment) -> bytes:
    document = _DOCUMENTS.get(treatment.sop_class_uid)
    if document is None:
        raise Quarantined("it holds a document of a kind that we have no dummy for")
    return document


def dummy_document(treatment: Treatment, _plan: Plan, _buffer: bytes, element: Element) -> bytes:
    """Give Encapsulated Document with a dummy of the SOP class's kind."""
    return encoded(element[1][:4], "OB", _document(treatment), implicit=treatment.implicit)


def dummy_length(treatment: Treatment, _plan: Plan, _buffer: bytes, element: Element) -> bytes:
    """Give Encapsulated Document Length for the dummy; nothing has no length."""
    if _DOCUMENT_TAG not in treatment.present:
        return b""
    length = len(_document(treatment)).to_bytes(4, "little")
    return encoded(element[1][:4], "UL", length, implicit=treatment.implicit)
