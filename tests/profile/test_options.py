"""Options: how two that speak of one attribute agree, and what they say in the markers."""

from __future__ import annotations

import pickle
from pathlib import Path

from node.profile import Option, load_profile
from node.profile.tables import attribute, confidentiality_columns, confidentiality_table
from tests.profile.profiles import make_profile, read_profile

DEVICE = Option.RETAIN_DEVICE_IDENTITY
MODIFIED = Option.RETAIN_LONGITUDINAL_MODIFIED_DATES
FULL = Option.RETAIN_LONGITUDINAL_FULL_DATES


def column(option: Option) -> int:
    """Give the option's place in a row."""
    return confidentiality_columns().index(option)


def test_the_devices_dates_are_shifted_where_both_options_are_on() -> None:
    """Eleven rows are K for the device and C for modified dates: "shall be modified" wins."""
    both = make_profile(options={DEVICE, MODIFIED})
    rows = [
        tag
        for tag, row in confidentiality_table().items()
        if row[column(DEVICE)] == "K" and row[column(MODIFIED)] == "C"
    ]
    assert len(rows) == 11
    for tag in rows:
        known = attribute(tag)
        assert known
        rule = both.public(tag, known.vr)
        assert (rule.code, rule.origin) == ("C", f"option:{MODIFIED}")


def test_the_devices_dates_stay_with_the_device_alone_and_with_full_dates() -> None:
    """Date of Last Calibration: K by the device's column, and K by full dates."""
    assert make_profile(options={DEVICE}).public(0x00181200, "DA").code == "K"
    assert make_profile(options={DEVICE, FULL}).public(0x00181200, "DA").code == "K"


def test_no_other_two_options_contradict_each_other() -> None:
    """In every row all cells say the same, but for the dates; so the order of options is free."""
    dates = {column(FULL), column(MODIFIED)}
    for tag, row in confidentiality_table().items():
        cells = {cell for at, cell in enumerate(row) if at and at not in dates} - {""}
        assert len(cells) <= 1, f"{tag:08X}"
        if row[column(FULL)]:
            assert (row[column(FULL)], row[column(MODIFIED)]) == ("K", "C"), f"{tag:08X}"
            assert cells <= {"K"}


def test_what_one_option_retains_stays_beside_any_other() -> None:
    """For every pair of options, but for modified dates."""
    for first in Option:
        for second in set(Option) - {first, MODIFIED, FULL}:
            profile = make_profile(options={first, second})
            for tag, row in confidentiality_table().items():
                cells = {row[column(first)], row[column(second)]} - {""}
                if first is not MODIFIED and "K" in cells:
                    known = attribute(tag)
                    vr = known.vr.split(" or ")[0] if known else "UN"
                    assert profile.public(tag, vr).code == "K", f"{tag:08X}"


def test_all_options_together_still_answer_for_every_row() -> None:
    """No combination makes a rule that is neither the basic one nor one of the options' own."""
    profile = make_profile(options=set(Option) - {FULL})
    for tag, row in confidentiality_table().items():
        assert profile.public(tag, "UN").code in {cell.rstrip("*") for cell in row}


def test_the_method_codes_name_the_profile_and_its_options() -> None:
    """(0012,0064) from CID 7050: the basic profile first, then each option's own code."""
    items = load_profile("research").code_items()
    assert [(item.value, item.meaning) for item in items] == [
        ("113100", "Basic Application Confidentiality Profile"),
        ("113103", "Clean Graphics Option"),
        ("113104", "Clean Structured Content Option"),
        ("113105", "Clean Descriptors Option"),
        ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
        ("113108", "Retain Patient Characteristics Option"),
        ("113109", "Retain Device Identity Option"),
        ("113111", "Retain Safe Private Option"),
    ]
    assert {item.scheme for item in items} == {"DCM"}


def test_every_option_has_a_code_whose_meaning_is_its_name() -> None:
    """retain-uids is 113110 "Retain UIDs Option", and so on; no two share one."""
    values = set()
    for option in Option:
        basic, item = make_profile(options={option}).code_items()
        assert basic.value == "113100"
        words = set(option.split("-")) - {"retain", "clean", "dates"}
        assert all(word in item.meaning.casefold() for word in words)
        values.add(item.value)
    assert len(values) == len(Option)


def test_the_longitudinal_marker_says_what_happened_to_dates() -> None:
    """(0028,0303) by the date option."""
    assert make_profile().longitudinal == "REMOVED"
    assert make_profile(options={FULL}).longitudinal == "UNMODIFIED"
    assert make_profile(options={MODIFIED}).longitudinal == "MODIFIED"


def test_the_manifest_hears_of_what_is_retained_and_not_of_what_is_cleaned() -> None:
    """Retains are the retain options, by name."""
    profile = make_profile(options={Option.RETAIN_UIDS, Option.CLEAN_DESCRIPTORS})
    assert profile.retains == ("retain-uids",)


def test_what_a_sites_rule_keeps_is_told_too(tmp_path: Path) -> None:
    """By keyword, or by the private triple; a date that it keeps or shifts shows in the marker."""
    kept = read_profile(
        tmp_path,
        """[rules]
        PatientBirthDate = "keep"
        PatientSex = "remove"
        '(0019,"ACME",24)' = "keep"
    """,
    )
    assert kept.retains == ("rule:PatientBirthDate", 'rule:(0019,"ACME",24)')
    assert kept.longitudinal == "UNMODIFIED"
    shifted = read_profile(tmp_path, '[rules]\nStudyDate = "shift"\nStudyTime = "keep"')
    assert shifted.longitudinal == "MODIFIED"


def test_a_profile_goes_to_a_worker_and_is_the_same_there() -> None:
    """Pickled with what it remembers, it answers and digests alike."""
    profile = load_profile("research")
    profile.public(0x00100010, "PN")
    copy = pickle.loads(pickle.dumps(profile))  # noqa: S301 -- our own bytes
    assert copy == profile
    assert copy.digest == profile.digest
    assert copy.public(0x00080020, "DA") == profile.public(0x00080020, "DA")


def test_the_digest_changes_with_whatever_decides() -> None:
    """Options and domain decide; the name does not."""
    digests = {
        make_profile().digest,
        make_profile(options={FULL}).digest,
        make_profile(domain="other").digest,
        load_profile("basic").digest,
        load_profile("research").digest,
    }
    assert len(digests) == 5
    assert make_profile().digest == make_profile().digest
