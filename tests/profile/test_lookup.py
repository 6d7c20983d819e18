"""A site's own pseudonyms: read again when changed, and nothing trusted once a row is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from node.profile.lookup import LookupInvalid, NotListed, pseudonym_of

HEAD = "patient_id,issuer,pseudonym\n"


def write(folder: Path, text: str) -> Path:
    """Write a lookup; each writing has a later time."""
    path = folder / "lookup.csv"
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(before + 10**9, before + 10**9))
    return path


def test_a_listed_patient_has_the_given_pseudonym(tmp_path: Path) -> None:
    """By issuer and Patient ID, trimmed; the same ID of another issuer is another patient."""
    path = write(tmp_path, HEAD + "MRN1,SITE,TRIAL-001\n MRN1 , ,TRIAL-002\n")
    assert pseudonym_of(path, "SITE", "MRN1") == "TRIAL-001"
    assert pseudonym_of(path, "", "MRN1 ") == "TRIAL-002"


def test_a_patient_without_a_row_is_told_apart_and_found_once_added(tmp_path: Path) -> None:
    """NotListed holds the study; when the row appears it goes on, with no restart."""
    path = write(tmp_path, HEAD)
    with pytest.raises(NotListed):
        pseudonym_of(path, "SITE", "MRN1")
    write(tmp_path, HEAD + "MRN1,SITE,TRIAL-001\n")
    assert pseudonym_of(path, "SITE", "MRN1") == "TRIAL-001"
    write(tmp_path, HEAD + "MRN1,SITE,TRIAL-002\n")
    assert pseudonym_of(path, "SITE", "MRN1") == "TRIAL-002"


def test_columns_may_stand_in_any_order_and_as_excel_writes_them(tmp_path: Path) -> None:
    """A byte order mark, CRLF, accents composed or not."""
    path = tmp_path / "lookup.csv"
    path.write_bytes("\ufeffpseudonym,issuer,patient_id\r\nT1,Cli\u0301nica,M\u00e41\r\n".encode())
    assert pseudonym_of(path, "Clínica", "Ma\u03081") == "T1"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "being written"),
        ("patient_id,pseudonym\nMRN1,T1\n", "header"),
        ("patient_id,issuer,pseudonym,name\n", "header"),
        ("patient_id;issuer;pseudonym\nMRN1;SITE;T1\n", "header"),
        (HEAD + "MRN1,SITE\n", "line 2: a row has three"),
        (HEAD + "MRN1,SITE,T1,more\n", "line 2: a row has three"),
        (HEAD + "MRN1,SITE,T1\nMRN2,SITE,TR", "being written"),
        (HEAD + ",SITE,T1\n", "line 2: the Patient ID is empty"),
        (HEAD + "MRN1,SITE,T1\nMRN1,SITE,T2\n", "line 3: this patient has a row above"),
        (HEAD + "MRN1,SITE,T1\nMRN2,SITE,T1\n", "line 3: this pseudonym is another"),
        (HEAD + "MRN1,SITE,\n", "line 2: a pseudonym has 1 to 64"),
        (HEAD + f"MRN1,SITE,{'T' * 65}\n", "line 2: a pseudonym has 1 to 64"),
        (HEAD + "MRN1,SITE,A\\B\n", "none of"),
        (HEAD + "MRN1,SITE,A^B\n", "none of"),
        (HEAD + "MRN1,SITE,Ü1\n", "printable ASCII"),
        (HEAD + "MRN1,SITE,mrn1\n", "line 2: the pseudonym is the Patient ID itself"),
        (HEAD + 'MRN1,SITE,"T1\n', "no CSV"),
    ],
)
def test_one_mistake_makes_the_whole_lookup_unusable(tmp_path: Path, text: str, why: str) -> None:
    """Told by line, and without a value of it."""
    path = write(tmp_path, text)
    with pytest.raises(LookupInvalid, match=why) as caught:
        pseudonym_of(path, "SITE", "MRN1")
    assert "MRN" not in str(caught.value)


def test_a_lookup_that_is_gone_or_unreadable_is_invalid(tmp_path: Path) -> None:
    """Neither is the same as a patient who is not listed."""
    with pytest.raises(LookupInvalid, match="cannot be read"):
        pseudonym_of(tmp_path / "absent.csv", "", "MRN1")
    path = tmp_path / "lookup.csv"
    path.write_bytes(b"patient_id,issuer,pseudonym\nM\xfc,,T1\n")
    with pytest.raises(LookupInvalid, match="UTF-8"):
        pseudonym_of(path, "", "MRN1")
