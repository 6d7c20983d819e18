"""The lookup CSV: pseudonyms that a site gives itself, one row per patient.

A header `patient_id,issuer,pseudonym` (any order), commas, UTF-8, and an end of line after the last
row: a row that is still being written must not become a pseudonym. The file is read
again when it has changed. One mistake makes the whole file unusable, because a wrong pseudonym
cannot be taken back. No value of it is ever in an error's text.
"""

from __future__ import annotations

import csv
import unicodedata
from functools import lru_cache
from pathlib import Path

COLUMNS = ("patient_id", "issuer", "pseudonym")
#: Patient ID and Patient's Name both take it: LO and PN have 64 characters.
_MAX_LENGTH = 64


class NotListed(Exception):  # noqa: N818 -- a fact: the study waits until the row appears
    """The lookup has no row for this patient."""


class LookupInvalid(Exception):  # noqa: N818 -- the sibling of NotListed
    """The lookup cannot be used; the message names the line and the mistake, and no value."""


def identity_of(issuer: str, patient_id: str) -> tuple[str, str]:
    """Give the identity that pseudonyms hang on: trimmed, and in Unicode's composed form (NFC)."""
    return _normal(issuer), _normal(patient_id)


def pseudonym_of(path: Path, issuer: str, patient_id: str) -> str:
    """Find the given pseudonym of a patient.

    Raises
    ------
    NotListed
        No row is for this issuer and Patient ID. Trying again helps once it has been added.
    LookupInvalid
        The file is missing or has a mistake.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise LookupInvalid(f"the lookup cannot be read: {error.strerror}") from None
    rows = _read(path, facts.st_ino, facts.st_size, facts.st_mtime_ns)
    try:
        return rows[identity_of(issuer, patient_id)]
    except KeyError:
        raise NotListed("the profile's lookup has no row for this patient") from None


@lru_cache(maxsize=8)
def _read(path: Path, _inode: int, _size: int, _mtime_ns: int) -> dict[tuple[str, str], str]:
    """Read the rows; the file's facts are arguments so that a changed file is read again."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LookupInvalid(f"the lookup cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LookupInvalid("the lookup is not UTF-8") from None
    if not text.endswith("\n"):
        raise LookupInvalid("the lookup's last line has no end; is it still being written?")
    reader = csv.DictReader(text.splitlines(), strict=True)
    if sorted(name.strip() for name in reader.fieldnames or ()) != sorted(COLUMNS):
        raise LookupInvalid(f"line 1: the lookup's header must name {', '.join(COLUMNS)}")
    reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
    return _rows(reader)


def _rows(reader: csv.DictReader[str]) -> dict[tuple[str, str], str]:
    rows: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    try:
        for row in reader:
            if None in row or None in row.values():
                raise LookupInvalid(f"line {reader.line_num}: a row has three values")
            identity = identity_of(row["issuer"], row["patient_id"])
            pseudonym = row["pseudonym"].strip()
            mistake = _mistake(identity, pseudonym, rows, taken)
            if mistake:
                raise LookupInvalid(f"line {reader.line_num}: {mistake}")
            rows[identity] = pseudonym
            taken.add(pseudonym)
    except csv.Error:
        raise LookupInvalid(f"line {reader.line_num}: this is no CSV") from None
    return rows


def _mistake(
    identity: tuple[str, str], pseudonym: str, rows: dict[tuple[str, str], str], taken: set[str]
) -> str:
    plain = pseudonym.isascii() and pseudonym.isprintable() and not set(pseudonym) & set("\\^=")
    checks = {
        "the Patient ID is empty": not identity[1],
        "this patient has a row above": identity in rows,
        "this pseudonym is another patient's; the two would become one": pseudonym in taken,
        "a pseudonym has 1 to 64 characters": not 0 < len(pseudonym) <= _MAX_LENGTH,
        "a pseudonym has printable ASCII characters and none of \\ ^ =": not plain,
        "the pseudonym is the Patient ID itself": pseudonym.casefold() == identity[1].casefold(),
    }
    return next((mistake for mistake, made in checks.items() if made), "")


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip().strip("\0 "))
