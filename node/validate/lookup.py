"""Pseudonyms that a site gives itself, in a CSV of patient_id, issuer, pseudonym."""

from __future__ import annotations

import csv
import unicodedata
from functools import lru_cache
from pathlib import Path


def pseudonym(path: Path, patient_id: str, issuer: str) -> str:
    """Give a listed patient's pseudonym; empty if the file does not list the patient."""
    state = path.stat()
    rows = _rows(path, state.st_mtime_ns, state.st_size)
    return rows.get((_normal(patient_id), _normal(issuer)), "")


@lru_cache(maxsize=4)
def _rows(path: Path, changed: int, size: int) -> dict[tuple[str, str], str]:
    del changed, size  # they tell a changed file from a known one
    with path.open(newline="", encoding="utf-8-sig") as file:
        return {
            (_normal(row["patient_id"]), _normal(row.get("issuer") or "")): row["pseudonym"].strip()
            for row in csv.DictReader(file)
        }


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip(" \0"))
