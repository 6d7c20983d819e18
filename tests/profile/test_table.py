"""Table E.1-1: every row answers, for the basic profile and for every option."""

from __future__ import annotations

import hashlib

import pytest

from node.profile import Option, Profile
from node.profile.tables import attribute, confidentiality_columns, confidentiality_table, read
from tests.profile.profiles import make_profile

BASIC = make_profile()
#: The curve row reads (50xx,xxxx); (5000,3000) stands for all of them here.
ROWS = sorted(
    (0x50003000 if tag == 0x50000000 else tag, row) for tag, row in confidentiality_table().items()
)
#: The actions of PS3.15 Table E.1-1a; U* is U for the UIDs within a sequence.
CODES = {"X", "Z", "D", "U", "X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*"}


def vr_of(tag: int) -> str:
    """Give the VR in which a row's attribute usually comes."""
    row = attribute(tag)
    return row.vr.split(" or ")[0] if row else "UN"


def test_the_table_is_the_edition_that_we_say() -> None:
    """The one place where edition and count are written down beside the data's head."""
    head = read("table_e1_1.json")
    assert (head["edition"], head["rows"]) == ("2026d", 657)
    assert len(head["attributes"]) == 657
    assert head["notice"].startswith("DICOM PS3.15/3.6/3.16 2026d, PS3.3 2026b, (c) NEMA")
    assert confidentiality_columns() == ("basic", *Option)


def test_no_cell_says_what_the_standard_does_not_know() -> None:
    """A typing slip in an action code would fall back to something unintended."""
    assert {row[0] for _, row in ROWS} == CODES
    assert {cell for _, row in ROWS for cell in row[1:]} == {"", "K", "C"}


def test_the_table_has_not_changed_by_accident() -> None:
    """Every cell of every row: the digest changes only together with the edition."""
    lines = [f"{tag:08X} {' '.join(cell or '-' for cell in row)}" for tag, row in ROWS]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert digest == "5745c9ee059adbe2b5280981dca14a0b072a4bb152f1b69e3bfe28089a63165b"


def test_every_row_of_the_basic_profile_answers_with_its_column() -> None:
    """All rows but the private one, by the attribute's own VR and as UN."""
    for tag, row in ROWS:
        for vr in (vr_of(tag), "UN"):
            rule = BASIC.public(tag, vr)
            assert (rule.code, rule.origin) == (row[0].rstrip("*"), "table"), f"{tag:08X}"


@pytest.mark.parametrize("option", list(Option))
def test_every_row_answers_with_the_column_of_its_option(option: Option) -> None:
    """Where an option's cell is empty the basic column stands."""
    profile = make_profile(options={option})
    column = confidentiality_columns().index(option)
    cells = 0
    for tag, row in ROWS:
        rule = profile.public(tag, vr_of(tag))
        if row[column]:
            cells += 1
            assert (rule.code, rule.origin) == (row[column], f"option:{option}"), f"{tag:08X}"
        else:
            assert (rule.code, rule.origin) == (row[0].rstrip("*"), "table"), f"{tag:08X}"
    assert cells or option is Option.RETAIN_SAFE_PRIVATE


@pytest.mark.parametrize("group", [0x5000, 0x5002, 0x501E, 0x50FE])
def test_a_curve_group_goes_whole(group: int) -> None:
    """The curve row reads (50xx,xxxx): every element of every group."""
    for element in (0x0005, 0x0022, 0x3000, 0x7777):
        assert BASIC.public(group << 16 | element, "OW").code == "X"


@pytest.mark.parametrize("group", [0x5001, 0x501F, 0x6001, 0x60FF])
def test_an_odd_group_among_curves_and_overlays_is_private(group: int) -> None:
    """Clean Graphics is for the standard's groups; a private one goes."""
    profile = make_profile(options=set(Option))
    for element, vr in ((0x0010, "US"), (0x3000, "OW"), (0x1010, "LO")):
        assert profile.public(group << 16 | element, vr).code == "X"


@pytest.mark.parametrize("group", [0x6000, 0x6002, 0x601E, 0x60FE])
def test_an_overlay_group_goes_whole(group: int) -> None:
    """Without its bits (60xx,3000) an overlay's rows and labels would describe nothing."""
    for element, vr in ((0x3000, "OW"), (0x4000, "LT"), (0x0010, "US"), (0x0022, "LO")):
        assert BASIC.public(group << 16 | element, vr).code == "X"


def test_clean_graphics_keeps_an_overlays_frame_and_cleans_its_bits() -> None:
    """(60xx,3000) is C by the table; its size and origin are numbers."""
    profile = make_profile(options={Option.CLEAN_GRAPHICS})
    assert profile.public(0x60043000, "OW").code == "C"
    assert profile.public(0x60040010, "US").code == "K"
    assert profile.public(0x60040022, "LO").code == "X/Z/D"


def test_a_retained_attribute_in_a_strange_vr_is_not_retained() -> None:
    """Patient's Sex as a person's name is not Patient's Sex."""
    profile = make_profile(options={Option.RETAIN_PATIENT_CHARACTERISTICS})
    assert profile.public(0x00100040, "CS").code == "K"
    assert profile.public(0x00100040, "PN").code == "Z"


def all_profiles() -> list[Profile]:
    """One profile per option, and none."""
    return [BASIC, *(make_profile(options={option}) for option in Option)]


def test_the_patients_name_and_id_never_stay() -> None:
    """No option keeps them."""
    for profile in all_profiles():
        assert profile.public(0x00100010, "PN").code == "Z"
        assert profile.public(0x00100020, "LO").code == "Z/D"
