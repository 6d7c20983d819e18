"""The Type of an attribute where it stands, from PS3.3's modules."""

from __future__ import annotations

import pytest

from node.profile import type_of
from node.profile.tables import confidentiality_table, dictionary, read

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"


@pytest.mark.parametrize(
    ("sop_class", "path", "kind"),
    [
        (CT, (0x00100010,), "2"),  # Patient's Name
        (CT, (0x00080020,), "2"),  # Study Date
        (CT, (0x00080050,), "2"),  # Accession Number
        (CT, (0x00080022,), "3"),  # Acquisition Date
        (CT, (0x00181030,), "3"),  # Protocol Name
        (CT, (0x0020000D,), "1"),  # Study Instance UID
        (ENHANCED_MR, (0x00080023,), "1"),  # Content Date
        (ENHANCED_MR, (0x0008002A,), "1"),  # Acquisition DateTime, Type 1C
        (ENHANCED_MR, (0x00181000,), "1"),  # Device Serial Number in the enhanced equipment module
        (ENHANCED_MR, (0x00400555,), "2"),  # Acquisition Context Sequence
        (SEG, (0x00620002, 0x00620005), "1"),  # Segment Label: in no table, but never missing
        (CT, (0x00080096, 0x00080080), "1"),  # the referring physician's institution, Type 1C
    ],
)
def test_the_type_is_ps3_3s(sop_class: str, path: tuple[int, ...], kind: str) -> None:
    """Conditional Types count as met."""
    assert type_of(sop_class, path) == kind


def test_an_optional_modules_type_counts_when_the_module_is_there() -> None:
    """Clinical Trial Time Point ID is Type 2 in a module that CT may leave out."""
    path = (0x00120050,)
    assert type_of(CT, path, present={0x00120050, 0x00100010}) == "2"
    assert type_of(CT, path, present={0x00100010}) == "3"
    assert type_of(CT, path) == "2"


def test_a_mandatory_modules_type_counts_whatever_is_there() -> None:
    """Patient's Name of a CT."""
    assert type_of(CT, (0x00100010,), present=set()) == "2"


def test_a_retired_sop_class_has_the_modules_that_all_have() -> None:
    """PS3.3 no longer describes it; its patient and study still are Type 2."""
    assert type_of("1.2.840.10008.5.1.4.1.1.5", (0x00100010,)) == "2"
    assert type_of("1.2.3.4", (0x00080050,)) == "2"


def test_what_no_module_knows_is_type_3() -> None:
    """A path that PS3.3 does not have."""
    assert type_of(CT, (0x00400275, 0x00400275, 0x00100010)) == "3"


def test_the_rows_that_the_research_derived_are_the_same() -> None:
    """Every IOD has Patient's Name and ID as Type 2, Study Date and Accession Number too."""
    iods = read("iod_types.json.gz")
    composite = [
        uid
        for uid, iod in iods["sop_to_iod"].items()
        if ["patient", "M"] in iods["iods"][iod] and ["general-study", "M"] in iods["iods"][iod]
    ]
    assert len(composite) > 150
    for uid in composite:
        for tag in (0x00100010, 0x00100020, 0x00100030, 0x00080020, 0x00080050):
            assert type_of(uid, (tag,), present=set()) == "2", (uid, f"{tag:08X}")


def test_types_are_kept_for_whatever_a_profile_may_remove() -> None:
    """Every path ends in an attribute that the table or a default rule may take away."""
    modules = read("iod_types.json.gz")["modules"]
    tags = {int(path[-8:], 16) for module in modules.values() for path in module["types"]}
    assert tags & set(confidentiality_table())
    assert 0x00620005 in tags
    assert 0x00280010 not in tags
    assert {dictionary()[tag].vr for tag in tags - set(confidentiality_table())} >= {
        "LO",
        "SH",
        "DT",
    }
