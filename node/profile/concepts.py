"""Rules for SR content items under Clean Structured Content (PS3.15 E.3.4, Table E.3.4-1).

A listed concept follows the row of its value type; an unlisted one follows its value type, and what
is free text, a name or of an unknown value type goes.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from functools import cache

from node.profile.actions import Option, Rule, rule
from node.profile.tables import read

_KEPT = frozenset({"CODE", "CONTAINER", "NUM", "SCOORD", "SCOORD3D", "TCOORD", "TABLE"})
#: References are kept and their UIDs remapped; the attribute rules within them see to it.
_REFERENCES = frozenset({"COMPOSITE", "IMAGE", "WAVEFORM"})
_GONE = "X/D"
_TEMPORAL = frozenset({"DATE", "DATETIME", "TIME"})


@cache
def _concepts() -> dict[tuple[str, str], dict[str, dict[str, str]]]:
    """Rows by scheme and code, then by value type, then by column."""
    table = read("sr_concepts.json")
    rows: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for key, row in table["concepts"].items():
        scheme, code, value_type = key.split(",")
        by_type = rows.setdefault((scheme, code), {})
        by_type[value_type] = dict(zip(table["columns"], row, strict=True))
    return rows


def concept_rule(
    scheme: str, code_value: str, value_type: str, options: AbstractSet[Option]
) -> Rule:
    """Decide for a content item by its concept name's code and its value type."""
    value_type = value_type.strip()
    rows = _concepts().get((scheme.strip(), code_value.strip()), {})
    row = rows.get(value_type)
    if row is None:
        # A listed concept in another value type is no less telling; only structure is.
        strict = rows and value_type not in _KEPT
        return rule(_GONE, "table") if strict else _by_value_type(value_type, options)
    for option in Option:  # retaining goes before cleaning: what is retained is retained (E.1.1)
        if option in options and row.get(option):
            return rule(row[option], f"option:{option}")
    return rule(row["basic"], "table")


def _by_value_type(value_type: str, options: AbstractSet[Option]) -> Rule:
    if value_type in _KEPT or value_type in _REFERENCES:
        return rule("K", "vr-default")
    if value_type == "UIDREF":
        return rule("K" if Option.RETAIN_UIDS in options else "U", "vr-default")
    if value_type in _TEMPORAL:
        if Option.RETAIN_LONGITUDINAL_MODIFIED_DATES in options:
            return rule("C", f"option:{Option.RETAIN_LONGITUDINAL_MODIFIED_DATES}")
        kept = Option.RETAIN_LONGITUDINAL_FULL_DATES in options
        return rule("K" if kept else _GONE, "vr-default")
    if value_type == "TEXT" and Option.CLEAN_DESCRIPTORS in options:
        return rule("C", f"option:{Option.CLEAN_DESCRIPTORS}")
    return rule(_GONE, "vr-default")
