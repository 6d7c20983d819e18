"""A site's own rules: they go over the tables, and none may break what the node lives by."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.profile import Action, Profile, ProfileError, Rule
from node.profile.site_rules import RuleMistake, read_rule
from tests.profile.profiles import read_profile


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """Build a profile with one rule of each kind."""
    return read_profile(
        tmp_path,
        """
        [rules]
        PatientSex = "keep"
        "(0010,1030)" = "keep"
        "0008,0060" = "remove"
        StudyDescription = "hash"
        StationName = { action = "replace", value = "SCANNER" }
        StudyDate = "shift"
        FrameOfReferenceUID = "remap"
        InstitutionName = "empty"
        "(60xx,0022)" = "keep"
        '(0019,"ACME 1.0",24)' = "keep"
        "0021,'ACME 1.0',xx10" = "remove"
        """,
    )


def test_a_rule_goes_over_the_table_in_every_vr(profile: Profile) -> None:
    """Keyword and tag name the same attribute; the rule carries its verb and value."""
    assert profile.public(0x00100040, "CS") == Rule((Action.K,), "site", "keep")
    assert profile.public(0x00101030, "DS").verb == "keep"
    assert profile.public(0x00080060, "CS") == Rule((Action.X,), "site", "remove")
    assert profile.public(0x00081030, "LO") == Rule((Action.D,), "site", "hash")
    assert profile.public(0x00081010, "SH") == Rule((Action.D,), "site", "replace", "SCANNER")
    assert profile.public(0x00080020, "DA") == Rule((Action.C,), "site", "shift")
    assert profile.public(0x00200052, "UI") == Rule((Action.U,), "site", "remap")
    assert profile.public(0x00080080, "LO") == Rule((Action.Z,), "site", "empty")


def test_a_rule_for_a_repeating_group_is_for_all_its_members(profile: Profile) -> None:
    """(60xx,0022) is (6000,0022) and (601E,0022)."""
    assert profile.public(0x60000022, "LO").verb == "keep"
    assert profile.public(0x601E0022, "LO").verb == "keep"
    assert read_rule("(6002,0022)", "keep")[0] == read_rule("(60xx,0022)", "keep")[0]


def test_a_private_rule_finds_its_creator_in_any_block(profile: Profile) -> None:
    """The last two digits name the element; another creator's element of that number is another."""
    for element in (0x24, 0x1024, 0xFF24):
        assert profile.private(0x0019, "ACME 1.0", element, "LO").verb == "keep"
    assert profile.private(0x0019, "ACME 1.0 ", 0x1024, "UN").verb == "keep"
    assert profile.private(0x0019, "ACME 1.1", 0x1024, "LO").code == "X"
    assert profile.private(0x0021, "ACME 1.0", 0x1024, "LO").code == "X"
    assert profile.private(0x0021, "ACME 1.0", 0x1010, "LO").origin == "site"


@pytest.mark.parametrize(
    ("where", "what", "why"),
    [
        ("PatientNam", "keep", "no attribute"),
        ("(0010,00400)", "keep", "no attribute"),
        ("(0008,FFF1)", "keep", "no such attribute"),
        ("(0019,1024)", "keep", "with its creator"),
        ('(0018,"ACME",24)', "keep", "odd"),
        ('(0019,"ACME",24)', "hash", "needs the vr"),
        ('(0019,"ACME",24)', {"action": "hash", "vr": "US"}, "needs the vr"),
        ('(0019,"ACME",24)', {"action": "replace", "value": "x"}, "needs the vr"),
        ('(0019,"ACME",24)', {"action": "replace", "value": "x", "vr": "DS"}, "no value of VR DS"),
        ('(0019,"ACME",24)', {"action": "keep", "vr": "LO"}, "takes no vr"),
        ("StationName", {"action": "hash", "vr": "SH"}, "dictionary knows"),
        ("PatientSex", "obliterate", "must be one of"),
        ("PatientSex", 7, "must be an action"),
        ("PatientSex", {"action": ["keep"]}, "must be one of"),
        ("PatientSex", {"action": "keep", "why": "x"}, "no such key"),
        ("PatientSex", {"action": "keep", "value": "M"}, "takes no value"),
        ("StationName", "replace", "needs a value"),
        ("StationName", {"action": "replace", "value": 7}, "in quotes"),
        ("StationName", {"action": "replace", "value": "S" * 17}, "at most 16"),
        ("StationName", {"action": "replace", "value": "A\nB"}, "control"),
        ("PatientBirthDate", {"action": "replace", "value": "1970-01-01"}, "no value of VR DA"),
        ("PatientSex", {"action": "replace", "value": "male"}, "no value of VR CS"),
        ("PatientWeight", {"action": "replace", "value": "heavy"}, "no value of VR DS"),
        ("FrameOfReferenceUID", {"action": "replace", "value": "1.02.3"}, "no value of VR UI"),
        ("Rows", {"action": "replace", "value": "16"}, "cannot be given"),
        ("RequestAttributesSequence", "hash", "a sequence"),
        ("StudyDate", "hash", "only text"),
        ("StudyDate", "remap", "only UIDs"),
        ("StudyDescription", "shift", "only dates"),
        ("PatientName", "keep", "never leaves"),
        ("PatientID", "keep", "pseudonym"),
        ("SOPInstanceUID", "keep", "retain-uids"),
        ("SOPClassUID", "remove", "is what the object is"),
        ("ReferencedSOPClassUID", "remove", "what the object is"),
        ("PixelData", "remove", "what the object is"),
        ("TransferSyntaxUID", "keep", "no attribute"),
        ("PatientIdentityRemoved", "remove", "marks"),
        ("SpecificCharacterSet", "remove", "character set"),
    ],
)
def test_a_rule_that_cannot_be_says_why(where: str, what: object, why: str) -> None:
    """Each mistake has its own words."""
    with pytest.raises(RuleMistake, match=why):
        read_rule(where, what)


def test_two_rules_for_one_attribute_are_a_mistake(tmp_path: Path) -> None:
    """By keyword and by tag: which one holds would be chance."""
    with pytest.raises(ProfileError) as caught:
        read_profile(tmp_path, '[rules]\nPatientSex = "keep"\n"(0010,0040)" = "remove"')
    assert [mistake.path for mistake in caught.value.mistakes] == ["rules.(0010,0040)"]


def test_a_replacement_may_have_several_values_and_what_the_vr_allows(tmp_path: Path) -> None:
    """CS with two values, a date, a decimal, a text."""
    profile = read_profile(
        tmp_path,
        """
        [rules]
        ImageType = { action = "replace", value = "DERIVED\\\\SECONDARY" }
        PatientBirthDate = { action = "replace", value = "19000101" }
        PatientWeight = { action = "replace", value = "70.5" }
        PatientComments = { action = "replace", value = "none" }
        """,
    )
    assert profile.public(0x00080008, "CS").value == "DERIVED\\SECONDARY"
    assert profile.public(0x00100030, "DA").value == "19000101"


def test_the_digest_sees_the_rules(tmp_path: Path) -> None:
    """A changed value is another profile."""
    digests = {
        read_profile(
            tmp_path, f'[rules]\nStationName = {{action = "replace", value = "{value}"}}'
        ).digest
        for value in ("A", "B")
    }
    assert len(digests) == 2
