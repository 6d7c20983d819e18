"""Rules for attributes that stand in no table: by VR, and closed where we do not know.

PS3.15 E.1.1 asks that whatever may identify be protected, and names dates and times as an example
of what a de-identifier may well treat by VR. So every name, date, time, address and free text
goes, unless the attribute was reviewed and is on the keep list; numbers and codes of known
attributes stay.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from node.profile.actions import Option, Rule, rule
from node.profile.tables import attribute, keep_list, uid_roles

#: VRs that hold free text, and may stand in for each other.
TEXT = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
#: VRs that hold numbers, and may stand in for each other.
NUMBER = frozenset({"AT", "DS", "FD", "FL", "IS", "OD", "OF", "OL", "OV", "SL", "SS", "SV", "UL",
                    "US", "UV"})  # fmt: skip
BULK = frozenset({"OB", "OW"})
TEMPORAL = frozenset({"DA", "DT", "TM"})

#: The Image Pixel Module's data, our markers, and the character set all text depends on.
_STRUCTURAL = {
    0x00080005: "K",  # Specific Character Set
    0x00080016: "K",  # SOP Class UID
    0x00120062: "K",  # Patient Identity Removed, then ours
    0x00120063: "K",  # De-identification Method: earlier values stay, ours is appended (E.1.1)
    0x00120064: "K",  # De-identification Method Code Sequence
    0x00280301: "K",  # Burned In Annotation
    0x00280302: "K",  # Recognizable Visual Features
    0x00280303: "K",  # Longitudinal Temporal Information Modified
    0x7FE00008: "K",  # Float Pixel Data
    0x7FE00009: "K",  # Double Float Pixel Data
    0x7FE00010: "K",  # Pixel Data
    0x00080001: "X",  # Length to End (retired): false after any change
}
_GONE = "X/Z/D"
#: Measures of the body in no table: they go and stay with Patient's Size and Weight.
_BODY = frozenset({
    0x00101022,  # Patient's Body Mass Index
    0x00101023,  # Measured AP Dimension
    0x00101024,  # Measured Lateral Dimension
    0x00109431,  # Examined Body Thickness
})  # fmt: skip
#: Numbers and codes that identify a study or an image (both retired).
_IDENTIFIERS = frozenset({
    0x00201070,  # Other Study Numbers
    0x00203402,  # Modified Image ID
})  # fmt: skip
#: Groups that no data set of a stored instance has (PS3.5 7.1; group 0004 is a DICOMDIR's).
_FOREIGN_GROUPS = frozenset({0x0000, 0x0002, 0x0004, 0xFFFE})


def fits(vr: str, expected: str) -> bool:
    """Tell whether an attribute of VR `expected` (may read "US or SS") may come as `vr`.

    UN may stand for anything (PS3.5 6.2.2): it is then read with the expected VR.
    """
    alternatives = expected.split(" or ")
    if vr == "UN" or vr in alternatives:
        return True
    return any(
        vr in family and not family.isdisjoint(alternatives) for family in (TEXT, NUMBER, BULK)
    )


def default_rule(tag: int, vr: str, options: AbstractSet[Option]) -> Rule:
    """Decide for an even-group attribute that stands in no table; unknown ones are removed."""
    element = tag & 0xFFFF
    known = attribute(tag)
    if tag >> 16 in _FOREIGN_GROUPS or known is None:
        return rule("X", "structural" if element == 0 else "vr-default")
    if not fits(vr, known.vr):
        return rule("X", "vr-default")
    return _exception(tag, options) or _by_vr(tag, known.vr.split(" or ")[0], options)


def _exception(tag: int, options: AbstractSet[Option]) -> Rule | None:
    """Decide for the few attributes whose VR says too little."""
    if tag in _STRUCTURAL:
        return rule(_STRUCTURAL[tag], "structural")
    if tag >> 24 == 0x60 and Option.CLEAN_GRAPHICS not in options:  # noqa: PLR2004 -- overlay groups
        # The overlay's bits are removed by the table; what describes them would describe nothing.
        return rule("X", "structural")
    if tag in _IDENTIFIERS:
        return rule(_GONE, "vr-default")
    if tag in _BODY:
        retained = Option.RETAIN_PATIENT_CHARACTERISTICS
        return rule("K", f"option:{retained}") if retained in options else rule(_GONE, "vr-default")
    return None


def _by_vr(tag: int, vr: str, options: AbstractSet[Option]) -> Rule:
    if vr == "UI":
        return _uid_rule(tag, options)
    if vr in TEMPORAL:
        return _temporal_rule(options)
    if vr in NUMBER or vr in ("CS", "SQ") or tag in keep_list():
        return rule("K", "vr-default")
    if vr in TEXT and Option.CLEAN_DESCRIPTORS in options:
        return rule("C", f"option:{Option.CLEAN_DESCRIPTORS}")
    return rule(_GONE, "vr-default")


def _temporal_rule(options: AbstractSet[Option]) -> Rule:
    if Option.RETAIN_LONGITUDINAL_MODIFIED_DATES in options:
        return rule("C", f"option:{Option.RETAIN_LONGITUDINAL_MODIFIED_DATES}")
    if Option.RETAIN_LONGITUDINAL_FULL_DATES in options:
        return rule("K", f"option:{Option.RETAIN_LONGITUDINAL_FULL_DATES}")
    return rule(_GONE, "vr-default")


def _uid_rule(tag: int, options: AbstractSet[Option]) -> Rule:
    if uid_roles().get(tag) == "definition":
        return rule("K", "structural")
    if Option.RETAIN_UIDS in options:
        return rule("K", f"option:{Option.RETAIN_UIDS}")
    return rule("U", "vr-default")
