"""The validator's own computation of pseudonyms agrees with the page that defines them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from node.validate import pseudonyms

PAGE = Path(__file__).parents[2] / "docs" / "pseudonyms.md"
KEY = bytes(range(32))


def vectors() -> Any:
    """Read the test vectors at the page's end."""
    block = re.search(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    return json.loads(block[1])


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["domain"])
def test_every_vector_of_the_page(vector: Any) -> None:
    """Sub-keys, UIDs, codes, shifts and hashes are those of docs/pseudonyms.md."""
    keys = pseudonyms.subkeys(KEY, vector["domain"])
    for purpose, expected in vector["subkeys"].items():
        assert getattr(keys, purpose).hex() == expected
    for uid, expected in vector["uids"].items():
        assert pseudonyms.new_uid(keys.uid, uid.encode()).decode() == expected
    for patient in vector["patients"]:
        identity = pseudonyms.identity(patient["issuer"], patient["patient_id"])
        assert identity.hex() == patient["identity_hex"]
        assert pseudonyms.patient_code(keys, identity) == patient["code"]
        assert pseudonyms.shift_days(keys, identity) == patient["shift_days"]
        for value, expected in patient["accession"].items():
            assert pseudonyms.accession_number(keys, identity, value) == expected
        for value, expected in patient["study_id"].items():
            assert pseudonyms.study_id(keys, identity, value) == expected
        for attribute, values in patient["hash"].items():
            for value, expected in values.items():
                assert pseudonyms.hashed_text(keys, identity, attribute, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20200704", "20200624"), ("2020.07.04", "20200624"), (" 20200704 ", "20200624"),
        ("202007", "202007"), ("2020", "2020"), ("20200231", None), ("yesterday", None),
        ("", None), ("00010101", None), ("2020.0704", None),
    ],
)  # fmt: skip
def test_a_date_goes_back_to_the_same_precision(value: str, expected: str | None) -> None:
    """Full, ACR-NEMA and partial dates move; what no calendar has is no date."""
    assert pseudonyms.shifted_date(value, 10) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20200704101112.5+0200", "20200624101112.5+0200"), ("2020-0500", "2020-0500"),
        ("202007", "202007"), ("20200704", "20200624"), ("2020ABCD", None), ("no", None),
    ],
)  # fmt: skip
def test_a_date_time_keeps_its_time_and_offset(value: str, expected: str | None) -> None:
    """Only the first digits of a DT move."""
    assert pseudonyms.shifted_date_time(value, 10) == expected
