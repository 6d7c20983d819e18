"""Lists of patients who may, or may not, be released."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from node.audit.roles import AUDITED
from node.config import Route
from node.process.patients import Consent, ListUnreadable, Patient, consent_of, identity, read_list
from tests.factories import make_instance, patient_id
from tests.process.conftest import Door

ONE = Patient("", patient_id(1))


def listed(folder: Path, *rows: str, name: str = "list.csv") -> Path:
    """Write a list."""
    path = folder / name
    path.write_text("\n".join(["issuer,patient_id", *rows]) + "\n", encoding="utf-8")
    return path


def test_a_denied_patient_outweighs_all(tmp_path: Path) -> None:
    """Deny goes before allow."""
    both = listed(tmp_path, f",{patient_id(1)}")
    assert (
        consent_of(Route(name="r", patients_deny=both, patients_allow=both), [ONE])
        is Consent.DENIED
    )


def test_only_those_on_the_allow_list_are_allowed(tmp_path: Path) -> None:
    """Trimmed texts are compared; another issuer is another patient."""
    route = Route(
        name="r", patients_allow=listed(tmp_path, f"  , {patient_id(1)} ", f"X,{patient_id(2)}")
    )
    assert consent_of(route, [ONE]) is Consent.ALLOWED
    assert consent_of(route, [identity("", patient_id(2), "X")]) is Consent.ALLOWED
    assert consent_of(route, [identity("Y", patient_id(2), "X")]) is Consent.NOT_ALLOWED


@pytest.mark.parametrize(
    "content",
    [b"patient\nMRN1\n", b"\xff\xfe\0", b"issuer,patient_id\nX\n", b'issuer,patient_id\n"X'],
)
def test_a_list_that_cannot_be_read_whole_is_no_list(tmp_path: Path, content: bytes) -> None:
    """Half a deny list would let somebody out."""
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(ListUnreadable):
        read_list(path)


@pytest.mark.parametrize(
    ("key", "row", "state"),
    [
        ("patients_deny", patient_id(1), "REJECTED"),
        ("patients_allow", patient_id(2), "HELD"),
        ("patients_allow", patient_id(1), "RELEASED"),
    ],
)
def test_what_the_lists_say_decides_over_a_study(
    make_door: Callable[..., Door], tmp_path: Path, key: str, row: str, state: str
) -> None:
    """Denied is rejected, not allowed is held, both audited; lists are read before each study."""
    path = tmp_path / "patients.csv"
    path.write_text("broken")
    door = make_door(routes=[{"name": "r", "destinations": ["delivered"], key: path}])
    door.arrive(make_instance())
    listed(tmp_path, f",{row}", name="patients.csv")
    door.settle(seconds=100)
    assert door.study().state == state
    told = f"study_{state.lower()}"
    assert told in AUDITED
    assert door.events().count(told) == 1


def test_an_unreadable_list_holds(make_door: Callable[..., Door], tmp_path: Path) -> None:
    """Nothing leaves while nobody can say who may."""
    route = {"name": "r", "destinations": ["delivered"], "patients_deny": tmp_path / "none.csv"}
    door = make_door(routes=[route])
    door.arrive(make_instance())
    door.settle(seconds=100)
    assert (door.study().state, door.releases()) == ("HELD", [])


def test_no_patient_id_and_two_patients_hold_before_any_work(door: Door) -> None:
    """A study is one patient's; whose, must be known."""
    nobody = make_instance(study=1)
    nobody.PatientID = "  "
    stranger = make_instance(patient=2)
    stranger.StudyInstanceUID = make_instance(study=2).StudyInstanceUID
    door.arrive(nobody, make_instance(study=2), stranger)
    door.settle()
    assert {study.reason for study in door.studies()} == {
        "an instance has no Patient ID", "its instances are of more than one patient",
    }  # fmt: skip
    assert door.pool.started == []


def test_the_lists_are_asked_again_before_a_held_study_goes_out(
    make_door: Callable[..., Door], tmp_path: Path
) -> None:
    """A patient who was denied while the study waited for a person; no override passes that."""
    deny = listed(tmp_path, name="deny.csv")
    door = make_door(routes=[{"name": "r", "destinations": ["delivered"], "patients_deny": deny}])
    image = make_instance()
    image.SeriesDescription = "look"
    door.arrive(image)
    door.settle(seconds=100)
    assert door.study().state == "HELD"
    listed(tmp_path, f",{patient_id(1)}", name="deny.csv")
    door.decide("release", door.study().study, override=True, why="looked at")
    door.settle(seconds=100)
    assert (door.study().state, door.releases()) == ("HELD", [])
    assert "deny list" in door.study().reason


def test_an_accent_that_comes_as_two_characters_is_the_same_patient(tmp_path: Path) -> None:
    """As it is for pseudonyms."""
    path = listed(tmp_path, ",Zo\u00eb-1", name="deny.csv")
    route = Route(name="r", patients_deny=path)
    assert consent_of(route, [identity("", "Zoe\u0308-1", "")]) is Consent.DENIED
