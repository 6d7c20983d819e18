"""The words of PS3.15 Annex E: action codes, options, and the rule for an attribute."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class Action(StrEnum):
    """The action codes of PS3.15 Table E.1-1a, one meaning per letter.

    On a sequence: X removes it, Z leaves no item, D leaves dummy items, U remaps the UIDs within;
    K and C recurse into its items with the whole profile (K is never a copy).
    """

    X = "X"  #: remove
    Z = "Z"  #: zero length, or a dummy value where the Type forbids that
    D = "D"  #: replace by a dummy value
    C = "C"  #: clean: keep what is known to be safe, shift a date, remap a UID
    U = "U"  #: replace by a UID that is the same throughout
    K = "K"  #: keep; on a sequence, recurse


class Option(StrEnum):
    """The options of PS3.15 E.3 that we do, in the order of Table E.1-1's columns."""

    RETAIN_SAFE_PRIVATE = "retain-safe-private"
    RETAIN_UIDS = "retain-uids"
    RETAIN_DEVICE_IDENTITY = "retain-device-identity"
    RETAIN_INSTITUTION_IDENTITY = "retain-institution-identity"
    RETAIN_PATIENT_CHARACTERISTICS = "retain-patient-characteristics"
    RETAIN_LONGITUDINAL_FULL_DATES = "retain-longitudinal-full-dates"
    RETAIN_LONGITUDINAL_MODIFIED_DATES = "retain-longitudinal-modified-dates"
    CLEAN_DESCRIPTORS = "clean-descriptors"
    CLEAN_STRUCTURED_CONTENT = "clean-structured-content"
    CLEAN_GRAPHICS = "clean-graphics"


#: Options of PS3.15 E.3 that we do not do: naming one is a mistake, never a silent nothing.
NOT_DONE = ("clean-pixel-data", "clean-recognizable-visual-features")

#: What a site's own rule may say, and the action that comes nearest to it.
VERBS = {
    "keep": Action.K,
    "remove": Action.X,
    "empty": Action.Z,
    "replace": Action.D,
    "hash": Action.D,
    "remap": Action.U,
    "shift": Action.C,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to an attribute.

    Attributes
    ----------
    actions
        The actions offered, in the order of the table: ("X", "Z", "D") for X/Z/D. More than one is
        resolved by the attribute's Type in the instance's IOD (see `node.profile.iod`).
    origin
        "table" (Table E.1-1's basic column), "option:<name>", "site", "vr-default" (the attribute
        is in no table) or "structural" (the object would not be itself without it).
    verb, value
        Of a site's own rule: keep, remove, empty, replace, hash, remap or shift; replace's value.
    vr
        Of a private attribute that a site's rule replaces or hashes; no dictionary tells it.
    """

    actions: tuple[Action, ...]
    origin: str
    verb: str = ""
    value: str = ""
    vr: str = ""

    @property
    def code(self) -> str:
        """The actions as the standard writes them: `X/Z/D`."""
        return "/".join(self.actions)


@cache
def rule(code: str, origin: str) -> Rule:
    """Make the rule of an action code (`X`, `X/Z/U*`); the same words give the same object."""
    return Rule(tuple(Action(letter) for letter in code.rstrip("*").split("/")), origin)
