"""A study goes out as one: one patient, one study, and nothing against its own past."""

from __future__ import annotations

import dataclasses

import pytest

from node.validate import Generation, InstanceFacts, Severity, check_study, dangling_references

PAST = Generation("P1", "2.25.1", "profile", "key", "domain")


def facts(number: int, **changes: object) -> InstanceFacts:
    """Give the facts of an instance by ordinal."""
    usual = InstanceFacts(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2", sop_instance_uid=f"2.25.9{number}",
        study_instance_uid="2.25.1", series_instance_uid="2.25.2", patient_id="P1",
        patient_name="P1", modality="CT", transfer_syntax_uid="1.2.840.10008.1.2.1", shift_days=7,
    )  # fmt: skip
    return dataclasses.replace(usual, **changes)


def test_a_study_in_order_has_no_finding() -> None:
    """Two slices of one patient."""
    assert check_study([facts(1), facts(2)], this=PAST, earlier=PAST) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"patient_id": "P2"}, {"patient_name": "P2"}, {"study_instance_uid": "2.25.7"},
        {"shift_days": 8}, {"sop_instance_uid": "2.25.91"},
    ],
)  # fmt: skip
def test_instances_that_disagree_hold_the_study(change: dict[str, object]) -> None:
    """Two patients, two studies, two shifts, or one UID twice."""
    (finding,) = check_study([facts(1), facts(2, **change)])
    assert finding.severity is Severity.HOLD


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Generation)])
def test_a_generation_that_contradicts_an_earlier_one_is_held(field: str) -> None:
    """Another patient, study, profile, key or domain than what already went out."""
    (finding,) = check_study(
        [facts(1)], this=dataclasses.replace(PAST, **{field: "other"}), earlier=PAST
    )
    assert finding.severity is Severity.HOLD


def test_a_reference_within_the_study_resolves() -> None:
    """To an instance of this release or of an earlier one."""
    one = facts(1, references=frozenset({"2.25.92", "2.25.93"}))
    assert dangling_references([one, facts(2)], released={"2.25.93"}) == ()


def test_a_dangling_reference_is_listed() -> None:
    """What is referred to and is not here is named by its new UID, and noted."""
    one = facts(1, references=frozenset({"2.25.99"}))
    assert dangling_references([one]) == ("2.25.99",)
    (finding,) = check_study([one])
    assert finding.severity is Severity.NOTE


def test_nobodys_study_is_held() -> None:
    """Without a Patient ID there is nobody."""
    findings = check_study([facts(1, patient_id="", patient_name="")])
    assert {finding.severity for finding in findings} == {Severity.HOLD}


def test_a_second_version_of_what_is_out_is_held() -> None:
    """It would meet the first at the PACS; a first version, or one that is wanted again, may go."""
    assert check_study([facts(1)], released={"2.25.91"}) == ()
    (finding,) = check_study([facts(1)], out={"2.25.91"})
    assert finding.severity is Severity.HOLD
