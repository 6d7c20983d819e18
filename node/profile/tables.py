"""The standard's tables, read once from `data/`: facts, and no decision.

Tags are integers (group << 16 | element). In repeating groups the low byte of the group is masked
away: (6002,3000) is looked up as (6000,3000).
"""

from __future__ import annotations

import gzip
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

DATA = Path(__file__).parent / "data"
#: Curves and overlays repeat in even groups 5000-50FE and 6000-60FE (PS3.5 7.6).
_REPEATING = (0x50, 0x60)


class Attribute(NamedTuple):
    """A row of the data dictionary (PS3.6): VR may be two or three joined by " or "."""

    vr: str
    vm: str
    keyword: str


@cache
def read(name: str) -> Any:
    """Read a data file, JSON or compressed JSON."""
    raw = (DATA / name).read_bytes()
    return json.loads(gzip.decompress(raw) if name.endswith(".gz") else raw)


@cache
def data_digest() -> str:
    """SHA-256 over every data file: with other tables a profile is another profile."""
    digest = hashlib.sha256()
    for path in sorted(path for path in DATA.iterdir() if path.is_file()):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def base_tag(tag: int) -> int:
    """Give the tag by which tables know it: a repeating group's first member."""
    return tag & 0xFF00FFFF if tag >> 24 in _REPEATING else tag


def _tag(text: str) -> int:
    return int(text.replace("xxxx", "0000").replace("xx", "00"), 16)


@cache
def dictionary() -> dict[int, Attribute]:
    """Give the data dictionary: public attributes by tag."""
    rows = read("dictionary.json")["attributes"]
    return {_tag(tag): Attribute(*row) for tag, row in rows.items()}


@cache
def keywords() -> dict[str, int]:
    """Tags by keyword."""
    return {row.keyword: tag for tag, row in dictionary().items() if row.keyword}


def attribute(tag: int) -> Attribute | None:
    """Look a public attribute up; None if the dictionary does not know it."""
    return dictionary().get(base_tag(tag))


@cache
def confidentiality_columns() -> tuple[str, ...]:
    """Name the columns of a row of Table E.1-1: "basic", then each option."""
    return tuple(read("table_e1_1.json")["columns"])


@cache
def confidentiality_table() -> dict[int, tuple[str, ...]]:
    """Table E.1-1 by tag, its private row left out; a row holds one action code per column."""
    rows = read("table_e1_1.json")["attributes"]
    return {_tag(tag): tuple(row) for tag, row in rows.items() if tag != "private"}


def confidentiality_row(tag: int) -> tuple[str, ...] | None:
    """Table E.1-1's row of an attribute; every attribute of a curve group has the one of curves."""
    if tag >> 24 == _REPEATING[0]:
        tag = 0x50000000
    return confidentiality_table().get(base_tag(tag))


@cache
def uid_roles() -> dict[int, str]:
    """Role of each UI attribute: "instance" or "definition"."""
    return {_tag(tag): role for tag, role in read("uid_roles.json")["roles"].items()}


@cache
def keep_list() -> frozenset[int]:
    """Text and bulk attributes in no table that were reviewed and are kept."""
    return frozenset(_tag(tag) for tag in read("keep_list.json")["attributes"])


@cache
def safe_private() -> dict[tuple[int, str, int], str]:
    """Table E.3.10-1: (group, creator, last byte of the element) to VR ("": none stated)."""
    rows: dict[tuple[int, str, int], str] = {}
    for key, vr in read("safe_private.json")["attributes"].items():
        group, rest = key.split(",", 1)
        creator, element = rest.rsplit(",", 1)
        rows[int(group, 16), creator, int(element, 16)] = vr
    return rows


@cache
def storage_classes() -> dict[str, str]:
    """Give the standard's storage SOP classes: UID to keyword."""
    return dict(read("sop_classes.json")["classes"])


@cache
def profile_codes() -> dict[str, str]:
    """CID 7050: code value to code meaning, scheme DCM."""
    return dict(read("cid_7050.json")["codes"])
