"""Attributes in no table: whatever comes, the answer is closed where we do not know."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.profile import Action, Option
from node.profile.defaults import TEXT
from node.profile.tables import (
    attribute,
    confidentiality_row,
    dictionary,
    keep_list,
    read,
    uid_roles,
)
from tests.profile.profiles import make_profile

EVERY_VR = (
    "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR "
    "US UT UV"
)
VRS = [*EVERY_VR.split(), "??", "\0\0", ""]
UNLISTED = sorted(tag for tag in dictionary() if confidentiality_row(tag) is None)
BASIC = make_profile()
EVERYTHING = make_profile(options=set(Option) - {Option.RETAIN_LONGITUDINAL_FULL_DATES})
options = st.sets(st.sampled_from(list(Option)))


@given(st.integers(0, 0xFFFFFFFF), st.text(max_size=3) | st.sampled_from(VRS), options)
def test_any_tag_and_vr_has_an_answer(tag: int, vr: str, chosen: set[Option]) -> None:
    """Never an exception, and at least one action."""
    rule = make_profile(options=chosen).public(tag, vr)
    assert rule.actions
    assert all(isinstance(action, Action) for action in rule.actions)


@given(st.integers(0, 0xFFFFFFFF), st.sampled_from(VRS), options)
def test_an_unknown_attribute_is_removed(tag: int, vr: str, chosen: set[Option]) -> None:
    """What neither the dictionary nor the table knows goes, with every option on."""
    if attribute(tag) is None and confidentiality_row(tag) is None:
        assert make_profile(options=chosen).public(tag, vr).code == "X"


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.sampled_from(VRS), options)
def test_an_odd_group_is_never_public(
    group: int, element: int, vr: str, chosen: set[Option]
) -> None:
    """Private attributes are asked for with their creator; without, they go."""
    tag = (group | 1) << 16 | element
    assert make_profile(options=chosen).public(tag, vr).code == "X"


@given(st.integers(0, 0x7FFF), options)
def test_a_group_length_never_stays(half: int, chosen: set[Option]) -> None:
    """It would be wrong after any change."""
    rule = make_profile(options=chosen).public(half << 17, "UL")
    assert (rule.code, rule.origin) == ("X", "structural")


@given(st.sampled_from(UNLISTED), st.sampled_from(VRS), options)
def test_only_what_fits_its_dictionary_vr_can_stay(tag: int, vr: str, chosen: set[Option]) -> None:
    """A number written as a person's name is removed, whatever the tag."""
    known = attribute(tag)
    assert known
    if vr in ("PN", "DA", "TM", "DT", "UI", "AE", "SQ") and vr != known.vr:
        assert make_profile(options=chosen).public(tag, vr).code == "X"


def test_no_name_date_or_time_stays_by_default() -> None:
    """Every unlisted PN, DA, TM and DT goes in the basic profile."""
    for tag in UNLISTED:
        known = attribute(tag)
        if known and known.vr in ("PN", "DA", "TM", "DT"):
            assert Action.K not in BASIC.public(tag, known.vr).actions, known.keyword


def test_no_name_stays_under_any_option() -> None:
    """PN in no table has no column that would keep it."""
    for tag in UNLISTED:
        known = attribute(tag)
        if known and known.vr == "PN":
            assert EVERYTHING.public(tag, "PN").code == "X/Z/D"


def test_unlisted_dates_follow_the_date_option() -> None:
    """Inventory date times: removed, kept or shifted like the listed ones."""
    full = make_profile(options={Option.RETAIN_LONGITUDINAL_FULL_DATES})
    for tag in UNLISTED:
        known = attribute(tag)
        if known and known.vr in ("DA", "TM", "DT"):
            assert BASIC.public(tag, known.vr).code == "X/Z/D"
            assert full.public(tag, known.vr).code == "K"
            assert EVERYTHING.public(tag, known.vr).code == "C"


def test_free_text_stays_only_by_the_keep_list() -> None:
    """Text in no table: kept if reviewed, else gone, and cleaned under Clean Descriptors."""
    texts = 0
    for tag in UNLISTED:
        known = attribute(tag)
        if not known or known.vr not in TEXT or tag >> 24 in (0x50, 0x60):
            continue
        texts += 1
        kept = tag in keep_list() or known.keyword == "DeidentificationMethod"
        foreign = tag >> 16 in (0x0000, 0x0002, 0x0004)
        assert BASIC.public(tag, known.vr).code == ("X" if foreign else "K" if kept else "X/Z/D")
        assert EVERYTHING.public(tag, known.vr).code == ("X" if foreign else "K" if kept else "C")
    assert texts > 400


def test_the_keep_list_names_what_it_keeps_and_why() -> None:
    """Each row has the dictionary's keyword and one of the reasons; none is in Table E.1-1."""
    data = read("keep_list.json")
    for tag, (keyword, reason) in data["attributes"].items():
        known = attribute(int(tag, 16))
        assert known
        assert known.keyword == keyword
        assert reason in data["reasons"]
        assert confidentiality_row(int(tag, 16)) is None


def test_a_uid_follows_its_role() -> None:
    """Definitions stay, instances are remapped, and an option keeps the latter."""
    retained = make_profile(options={Option.RETAIN_UIDS})
    roles = set()
    for tag, role in uid_roles().items():
        if confidentiality_row(tag) is None and tag >> 16 > 0x0004:
            roles.add(role)
            assert BASIC.public(tag, "UI").code == ("K" if role == "definition" else "U")
            assert retained.public(tag, "UI").code == "K"
    assert roles == {"definition", "instance"}


def test_a_uid_attribute_without_a_role_is_remapped() -> None:
    """A UID whose role nobody stated is taken for an instance's."""
    for tag in UNLISTED:
        known = attribute(tag)
        if known and known.vr == "UI" and tag not in uid_roles() and tag >> 16 > 0x0004:
            assert BASIC.public(tag, "UI").code == "U", known.keyword


def test_numbers_and_codes_of_known_attributes_stay() -> None:
    """Rows, Columns, Modality, Image Type, Pixel Spacing: an image stays an image."""
    for tag, vr in ((0x00280010, "US"), (0x00280011, "US"), (0x00080060, "CS"),
                    (0x00080008, "CS"), (0x00280030, "DS"), (0x7FE00010, "OW"),
                    (0x00281201, "OW"), (0x00281052, "DS"), (0x54000100, "SQ")):  # fmt: skip
        assert BASIC.public(tag, vr).code == "K"


def test_measures_of_the_body_go_with_size_and_weight() -> None:
    """Body Mass Index is in no table; it stays only where size and weight do."""
    assert BASIC.public(0x00101022, "DS").code == "X/Z/D"
    assert EVERYTHING.public(0x00101022, "DS").code == "K"


def test_bulk_data_stays_only_where_reviewed() -> None:
    """An unlisted OB or OW attribute that nobody reviewed may hold anything."""
    kept = {0x7FE00010}
    for tag in UNLISTED:
        known = attribute(tag)
        if known and set(known.vr.split(" or ")) & {"OB", "OW", "UN"} and "US" not in known.vr:
            stays = BASIC.public(tag, "OW").code == "K"
            assert stays == (tag in keep_list() | kept), known.keyword
