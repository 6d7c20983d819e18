"""A site's own pseudonyms: a CSV of patient_id, issuer, pseudonym that people add rows to."""

from __future__ import annotations

import csv
import io
from functools import lru_cache
from pathlib import Path

from node.deid.outcome import Held
from node.deid.pseudonyms import identity_of

_COLUMNS = {"patient_id", "issuer", "pseudonym"}
_LONGEST = 64  # characters of an LO (PS3.5 6.2)


def pseudonym_of(path: Path, identity: bytes) -> str:
    """Give a patient's pseudonym.

    Raises
    ------
    Held
        The file cannot be used, or has no row for this patient: a person can mend either.
    """
    try:
        facts = path.stat()
        rows = _rows(path, facts.st_mtime_ns, facts.st_size, facts.st_ino)
    except OSError:
        raise Held("the profile's pseudonym lookup cannot be read") from None
    if identity not in rows:
        raise Held("the profile's pseudonym lookup has no row for this patient")
    return rows[identity]


@lru_cache(maxsize=4)
def _rows(path: Path, _changed: int, _size: int, _inode: int) -> dict[bytes, str]:
    """Read the rows; the further arguments make a changed file another one."""
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        if not set(reader.fieldnames or ()).issuperset(_COLUMNS):
            raise Held(
                "the profile's pseudonym lookup needs the columns patient_id, issuer, pseudonym"
            )
        rows: dict[bytes, str] = {}
        for row in reader:
            identity = identity_of(row["issuer"] or "", row["patient_id"] or "")
            pseudonym = (row["pseudonym"] or "").strip()
            if not _is_writable(pseudonym):
                raise Held(
                    "the profile's pseudonym lookup has a pseudonym that is no short ASCII text"
                )
            if rows.setdefault(identity, pseudonym) != pseudonym:
                raise Held("the profile's pseudonym lookup has two pseudonyms for one patient")
    except (UnicodeDecodeError, csv.Error):
        raise Held("the profile's pseudonym lookup is no CSV file in UTF-8") from None
    if len(set(rows.values())) < len(rows):
        raise Held("the profile's pseudonym lookup gives one pseudonym to two patients")
    return rows


def _is_writable(pseudonym: str) -> bool:
    return (
        0 < len(pseudonym) <= _LONGEST
        and pseudonym.isascii()
        and pseudonym.isprintable()
        and "\\" not in pseudonym
    )
