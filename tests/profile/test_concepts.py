"""SR content items under Clean Structured Content: Table E.3.4-1, then the value type."""

from __future__ import annotations

import pytest

from node.profile import Option
from node.profile.tables import read
from tests.profile.profiles import make_profile

STRUCTURED = Option.CLEAN_STRUCTURED_CONTENT
MODIFIED = Option.RETAIN_LONGITUDINAL_MODIFIED_DATES
PLAIN = make_profile(options={STRUCTURED})


def test_every_concept_answers_with_its_basic_column() -> None:
    """206 rows, by scheme, code and value type."""
    table = read("sr_concepts.json")
    assert len(table["concepts"]) == 206
    for key, row in table["concepts"].items():
        assert PLAIN.concept(*key.split(",")).code == row[0], key


@pytest.mark.parametrize("option", [o for o in Option if o.startswith(("retain", "clean-d"))])
def test_every_concept_answers_with_the_column_of_its_option(option: Option) -> None:
    """Where the option's cell is empty the basic column stands."""
    table = read("sr_concepts.json")
    if option not in table["columns"]:
        return
    column = table["columns"].index(option)
    profile = make_profile(options={STRUCTURED, option})
    for key, row in table["concepts"].items():
        assert profile.concept(*key.split(",")).code == (row[column] or row[0]), key


def test_a_concept_that_one_option_retains_is_not_cleaned_by_another() -> None:
    """Performed Processing Parameters (121122, DCM): K for the device, C for descriptors."""
    device = {STRUCTURED, Option.RETAIN_DEVICE_IDENTITY}
    assert make_profile(options=device).concept("DCM", "121122", "TEXT").code == "K"
    both = make_profile(options=device | {Option.CLEAN_DESCRIPTORS})
    assert both.concept("DCM", "121122", "TEXT").code == "K"


@pytest.mark.parametrize(
    ("value_type", "code"),
    [
        ("TEXT", "X/D"), ("PNAME", "X/D"), ("DATE", "X/D"), ("TIME", "X/D"), ("DATETIME", "X/D"),
        ("UIDREF", "U"), ("CODE", "K"), ("NUM", "K"), ("CONTAINER", "K"), ("IMAGE", "K"),
        ("SCOORD", "K"), ("NONSENSE", "X/D"), ("", "X/D"),
    ],
)  # fmt: skip
def test_an_unlisted_concept_follows_its_value_type(value_type: str, code: str) -> None:
    """Free text, names, dates and the unknown go; codes, numbers and structure stay."""
    assert PLAIN.concept("99ACME", "1", value_type).code == code


def test_a_listed_concept_in_another_value_type_goes() -> None:
    """Accession Number (121022, DCM) is TEXT in the table; as a person's name it is no safer."""
    assert PLAIN.concept("DCM", "121022", "PNAME").code == "X/D"
    everything = make_profile(options=set(Option) - {Option.RETAIN_LONGITUDINAL_FULL_DATES})
    assert everything.concept("DCM", "121022", "DATE").code == "X/D"
    assert everything.concept("DCM", "121022", "CONTAINER").code == "K"


def test_unlisted_dates_and_texts_follow_their_options() -> None:
    """Shifted under modified dates, kept under full, cleaned under descriptors."""
    assert make_profile(options={STRUCTURED, MODIFIED}).concept("99", "1", "DATE").code == "C"
    full = make_profile(options={STRUCTURED, Option.RETAIN_LONGITUDINAL_FULL_DATES})
    assert full.concept("99", "1", "DATETIME").code == "K"
    descriptors = make_profile(options={STRUCTURED, Option.CLEAN_DESCRIPTORS})
    assert descriptors.concept("99", "1", "TEXT").code == "C"
    assert descriptors.concept("99", "1", "PNAME").code == "X/D"


def test_a_listed_name_stays_under_no_option() -> None:
    """Person observer's name (121008, DCM)."""
    for option in Option:
        profile = make_profile(options={STRUCTURED, option})
        assert "K" not in profile.concept("DCM", "121008", "PNAME").code
