"""One rule per attribute: the option's column over the basic one, the table over the VR default.

PS3.15 E.1.1: an option's requirement overrides the profile's. Two options contradict each other in
one place only: eleven dates of devices are K by Retain Device Identity and C by Modified Dates.
Those "shall be modified" (E.3.6), and one date unshifted beside shifted ones would tell the shift.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from node.profile.actions import Option, Rule, rule
from node.profile.defaults import default_rule, fits
from node.profile.tables import (
    attribute,
    confidentiality_columns,
    confidentiality_row,
    safe_private,
)


def public_rule(tag: int, vr: str, options: AbstractSet[Option]) -> Rule:
    """Decide for a public attribute of any tag and VR; never raises, and closed where unknown."""
    row = confidentiality_row(tag)
    if row is None or tag & 0xFFFF == 0:
        return default_rule(tag, vr, options)
    known = attribute(tag)
    chosen = option_cell(row, options)
    if chosen and (known is None or fits(vr, known.vr)):
        option, code = chosen
        return rule(code, f"option:{option}")
    # An option keeps or cleans what the attribute is meant to hold; another VR's value is not it.
    return rule(row[0], "table")


def option_cell(row: tuple[str, ...], options: AbstractSet[Option]) -> tuple[Option, str] | None:
    """Choose the option that decides about a row, with its action code; None: the basic column."""
    cells = {
        Option(column): code
        for column, code in zip(confidentiality_columns()[1:], row[1:], strict=True)
        if code and Option(column) in options
    }
    if Option.RETAIN_LONGITUDINAL_MODIFIED_DATES in cells:
        return Option.RETAIN_LONGITUDINAL_MODIFIED_DATES, "C"
    return next(iter(cells.items()), None)


def private_rule(
    group: int, creator: str, element: int, vr: str, options: AbstractSet[Option]
) -> Rule:
    """Decide for a private attribute: removed, or cleaned where Table E.3.10-1 calls it safe.

    Parameters
    ----------
    element
        The last byte of the element number, whatever the block.
    """
    listed = safe_private().get((group, creator.strip(" \0"), element & 0xFF))
    safe = listed is not None and (not listed or fits(vr, listed.replace("/", " or ")))
    if safe and Option.RETAIN_SAFE_PRIVATE in options:
        return rule("C", f"option:{Option.RETAIN_SAFE_PRIVATE}")
    return rule("X", "table")
