"""Who may be released by a route: `patients_allow` and `patients_deny`, read before each study."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from node.config import Route

_COLUMNS = {"issuer", "patient_id"}


class ListUnreadable(Exception):  # noqa: N818 -- a fact about the file
    """A patient list cannot be used; the text names the file and the fault, and no patient."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient's identity as the node compares it: both texts trimmed, in NFC."""

    issuer: str
    patient_id: str


class Consent(Enum):
    """What the lists of a route say of a study's patients."""

    ALLOWED = auto()
    NOT_ALLOWED = auto()
    DENIED = auto()


def consent_of(route: Route, patients: Collection[Patient]) -> Consent:
    """Ask a route's lists about patients; a denied one outweighs all.

    Raises
    ------
    ListUnreadable
        If a list that the route names cannot be read whole: then nothing may leave.
    """
    denied = read_list(route.patients_deny) if route.patients_deny else frozenset()
    allowed = read_list(route.patients_allow) if route.patients_allow else None
    if any(patient in denied for patient in patients):
        return Consent.DENIED
    if allowed is not None and not all(patient in allowed for patient in patients):
        return Consent.NOT_ALLOWED
    return Consent.ALLOWED


def identity(issuer: str, patient_id: str, default_issuer: str) -> Patient:
    """Give an instance's patient, its issuer defaulting to the route's."""
    return Patient(_folded(issuer) or _folded(default_issuer), _folded(patient_id))


def _folded(text: str) -> str:
    """As pseudonyms compare them: an accent may come as one character or two."""
    return unicodedata.normalize("NFC", text.strip())


def read_list(path: Path) -> frozenset[Patient]:
    """Read a CSV file with the columns `issuer` and `patient_id`, in UTF-8."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if not _COLUMNS.issubset(reader.fieldnames or ()):
                raise ListUnreadable(f"{path.name} has no columns issuer and patient_id")
            return frozenset(_patient(path, number, row) for number, row in enumerate(reader, 2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ListUnreadable(f"{path.name} cannot be read ({type(error).__name__})") from None


def _patient(path: Path, line: int, row: dict[str, str | None]) -> Patient:
    issuer, patient_id = row["issuer"], row["patient_id"]
    if issuer is None or patient_id is None or not patient_id.strip():
        raise ListUnreadable(f"{path.name}, line {line}: the patient ID is missing")
    return Patient(_folded(issuer), _folded(patient_id))
