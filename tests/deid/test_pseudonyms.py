"""docs/pseudonyms.md is what the engine does, and what it does keeps its promises."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from node.deid import pseudonyms
from tests.deid import kit
from tests.factories import make_instance

ROOT = Path(__file__).parents[2]
DOC = ROOT / "docs" / "pseudonyms.md"
TABLES = ROOT / "tools" / "standard"
KEY = bytes(range(32))
SUBKEYS = pseudonyms.derive_subkeys(KEY, "default")
UIDS = st.from_regex(r"[12](\.(0|[1-9][0-9]{0,9})){1,5}", fullmatch=True)


def vectors() -> list[dict]:
    """Read the test vectors of the page."""
    block = re.search(r"```json\n(.*?)```", DOC.read_text(), re.DOTALL)
    assert block is not None
    return json.loads(block[1])


@pytest.mark.parametrize("domain", vectors(), ids=lambda domain: domain["domain"])
def test_the_vectors_of_the_page_come_out(domain: dict) -> None:
    """Whoever implements docs/pseudonyms.md gets what the engine writes."""
    subkeys = pseudonyms.derive_subkeys(KEY, domain["domain"])
    assert {name: getattr(subkeys, name).hex() for name in domain["subkeys"]} == domain["subkeys"]
    for old, new in domain["uids"].items():
        assert pseudonyms.remap_uid(subkeys, old.encode()).decode() == new
    for patient in domain["patients"]:
        identity = pseudonyms.identity_of(patient["issuer"], patient["patient_id"])
        assert identity.hex() == patient["identity_hex"]
        assert pseudonyms.patient_code(subkeys, identity) == patient["code"]
        assert pseudonyms.shift_days(subkeys, identity) == patient["shift_days"]
        for old, new in patient["accession"].items():
            assert pseudonyms.accession_code(subkeys, identity, old) == new
        for old, new in patient["study_id"].items():
            assert pseudonyms.study_id_code(subkeys, identity, old) == new
        for attribute, codes in patient["hash"].items():
            for old, new in codes.items():
                assert pseudonyms.text_code(subkeys, identity, attribute, old) == new


@given(UIDS)
def test_a_remapped_uid_is_a_valid_uuid_under_2_25(uid: str) -> None:
    """PS3.5 B.2: "2.25." and a UUID as a decimal number, here of version 8."""
    new = UID(pseudonyms.remap_uid(SUBKEYS, uid.encode()).decode())
    if uid.startswith("1.2.840.10008."):
        assert new == uid
        return
    assert new.is_valid
    assert len(new) <= 44
    number = int(new.removeprefix("2.25."))
    assert number >> 76 & 0xF == 8
    assert number >> 62 & 0x3 == 2


def test_the_standards_own_frames_of_reference_stay() -> None:
    """An atlas is the same for everyone; each that PS3.6 Annex A names is in the registry."""
    roles = json.loads((TABLES / "uid_roles.json").read_text(encoding="utf-8"))
    well_known = [uid.encode() for uid in roles["well_known_frames_of_reference"]]
    assert len(well_known) == 28
    assert [pseudonyms.remap_uid(SUBKEYS, uid) for uid in well_known] == well_known


def test_only_what_dicom_registered_stays(tmp_path: Path) -> None:
    """To begin like a registered UID is not enough: that may say a birth date, or an ID."""
    for registered in (b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.1.4.1.1"):
        assert pseudonyms.remap_uid(SUBKEYS, registered) == registered
    dataset = make_instance()
    dataset.StudyInstanceUID = "1.2.840.10008.19470319.77665544"
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert output.StudyInstanceUID.startswith("2.25.")
    assert b"77665544" not in (tmp_path / "target.dcm").read_bytes()


@given(st.sets(UIDS, min_size=2, max_size=20))
def test_different_uids_stay_different_and_padding_does_not_count(uids: set[str]) -> None:
    """The map is injective over values, and blind to their padding."""
    new = {pseudonyms.remap_uid(SUBKEYS, uid.encode()) for uid in uids}
    assert len(new) == len(uids)
    assert new == {pseudonyms.remap_uid(SUBKEYS, uid.encode() + b"\0") for uid in uids}


def test_the_same_patient_id_from_two_issuers_is_two_patients() -> None:
    """The issuer is a part of the identity."""
    codes = {
        pseudonyms.patient_code(SUBKEYS, pseudonyms.identity_of(issuer, "1"))
        for issuer in ("", "A", "B")
    }
    assert len(codes) == 3


def test_two_domains_share_nothing() -> None:
    """A patient, a UID and a shift in one domain tell nothing of the other."""
    other = pseudonyms.derive_subkeys(KEY, "other")
    identity = pseudonyms.identity_of("", "1")
    assert pseudonyms.patient_code(SUBKEYS, identity) != pseudonyms.patient_code(other, identity)
    assert pseudonyms.remap_uid(SUBKEYS, b"1.2.3") != pseudonyms.remap_uid(other, b"1.2.3")


@given(st.text(max_size=20), st.text(min_size=1, max_size=20))
def test_every_patient_is_moved_by_1_to_3650_days(issuer: str, patient_id: str) -> None:
    """No patient's dates stay where they were."""
    identity = pseudonyms.identity_of(issuer, patient_id)
    assert 1 <= pseudonyms.shift_days(SUBKEYS, identity) <= 3650


def test_the_keys_are_not_shown_by_repr() -> None:
    """A trace that prints the keys of a domain prints no key."""
    assert KEY.hex()[:8] not in repr(SUBKEYS)
    assert SUBKEYS.uid.hex()[:8] not in repr(SUBKEYS)
    assert repr(SUBKEYS.uid)[2:10] not in repr(SUBKEYS)
