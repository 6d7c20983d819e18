"""`profile show`: the listing says what the profile does."""

from __future__ import annotations

from pathlib import Path

from node.profile import Option, load_profile
from node.profile.listing import listing
from node.profile.tables import confidentiality_table, dictionary, safe_private
from tests.profile.profiles import make_profile, read_profile


def test_every_attribute_is_listed_once_with_the_rule_that_answers() -> None:
    """All of the dictionary and the table, in order."""
    profile = load_profile("research")
    lines = {line.tag: line for line in listing(profile)}
    public = dictionary().keys() | confidentiality_table().keys()
    assert len(lines) == len(public) + len(safe_private()) + 1
    assert (lines["(0010,0010)"].keyword, lines["(0010,0010)"].action) == ("PatientName", "Z")
    assert lines["(0008,0020)"].action == "C"
    assert lines["(0008,0020)"].origin == f"option:{Option.RETAIN_LONGITUDINAL_MODIFIED_DATES}"
    assert lines["(60xx,3000)"].action == "C"
    assert lines['(0019,"GEMS_ACQU_01",24)'].action == "C"


def test_a_sites_rule_is_shown_in_its_own_words(tmp_path: Path) -> None:
    """With its value, public or private."""
    profile = read_profile(
        tmp_path,
        """
        [rules]
        StationName = { action = "replace", value = "SCANNER" }
        '(0019,"ACME",24)' = "keep"
        """,
    )
    lines = {line.tag: line for line in listing(profile)}
    assert lines["(0008,1010)"].action == 'replace "SCANNER"'
    assert lines["(0008,1010)"].origin == "site"
    assert lines['(0019,"ACME",24)'].action == "keep"


def test_the_basic_profile_lists_no_private_attribute_as_kept() -> None:
    """One line says that they all go."""
    lines = list(listing(make_profile()))
    assert [line.tag for line in lines if '"' in line.tag] == []
    assert lines[-1].action == "X"
