"""`[rules]`: a site's own rules, by keyword, tag or private triple, checked one by one."""

from __future__ import annotations

import re
from typing import Any

from node.profile.actions import VERBS, Rule
from node.profile.defaults import TEMPORAL, TEXT
from node.profile.tables import attribute, base_tag, keywords, uid_roles

#: (0010,0040), 0010,0040 or 00100040; xx for a repeating group's digits.
_TAG = re.compile(r"\(?([0-9A-Fa-f]{2}(?:[0-9A-Fa-f]{2}|xx)),?([0-9A-Fa-f]{4})\)?")
#: (0019,"GEMS_ACQU_01",24): group, private creator, last two digits of the element.
_PRIVATE = re.compile(
    r"""\(?([0-9A-Fa-f]{4}),\s*["']([^"']{1,64})["'],\s*(?:xx)?([0-9A-Fa-f]{2})\)?"""
)

#: What the node itself writes or lives by; no rule may touch these.
_DECIDED = {
    0x00080005: "the output's character set follows from the values",
    0x00080016: "the SOP class is what the object is",
    0x00080018: "instance UIDs are remapped; use the option retain-uids to keep them",
    0x0020000D: "instance UIDs are remapped; use the option retain-uids to keep them",
    0x0020000E: "instance UIDs are remapped; use the option retain-uids to keep them",
    0x00100020: "the Patient ID is the pseudonym; see [pseudonyms]",
    0x00120062: "the node marks what it did",
    0x00120063: "the node marks what it did",
    0x00120064: "the node marks what it did",
    0x00280301: "the node marks what it did",
    0x00280302: "the node marks what it did",
    0x00280303: "the node marks what it did",
}
_NAME = 0x00100010
_MAX_LENGTH = {"AE": 16, "CS": 16, "SH": 16, "LO": 64, "PN": 64, "ST": 1024, "LT": 10240, "DS": 16,
               "IS": 12, "UI": 64}  # fmt: skip
_SHAPE = {
    "AS": re.compile(r"\d{3}[DWMY]"),
    "CS": re.compile(r"[A-Z0-9_ ]*(\\[A-Z0-9_ ]*)*"),
    "DA": re.compile(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    "DS": re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"),
    "DT": re.compile(r"\d{4}(\d{2}){0,5}(\.\d{1,6})?([-+]\d{4})?"),
    "IS": re.compile(r"[-+]?\d{1,11}"),
    "TM": re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?"),
    "UI": re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+"),
    "UR": re.compile(r"[!-~]+"),
}
_WRITABLE = TEXT | _SHAPE.keys() | {"AE", "PN"}
_HASHABLE = TEXT | {"PN"}

Target = int | tuple[int, str, int]


class RuleMistake(ValueError):  # noqa: N818 -- what a person made, not what went wrong here
    """A rule that cannot be; the message says why."""


def read_rule(where: str, what: Any) -> tuple[Target, Rule]:
    """Read one line of `[rules]`.

    Returns
    -------
    The tag, or (group, creator, last byte of the element) of a private attribute, and its rule.

    Raises
    ------
    RuleMistake
        With the reason, for a person.
    """
    private = _PRIVATE.fullmatch(where.strip())
    own = _read_what(what)
    if private:
        return _private_target(private, own), own
    tag = _public_tag(where.strip())
    known = attribute(tag)
    if known is None:
        raise RuleMistake("the DICOM dictionary has no such attribute")
    if own.vr:
        raise RuleMistake("the dictionary knows this attribute's VR")
    _check(tag, known.vr.split(" or ")[0], own.verb, own.value)
    return tag, own


def _read_what(what: Any) -> Rule:
    if isinstance(what, str):
        what = {"action": what}
    if not isinstance(what, dict):
        raise RuleMistake('must be an action, or { action = "replace", value = "..." }')
    verb, value, vr = what.get("action"), what.get("value", ""), what.get("vr", "")
    if unknown := what.keys() - {"action", "value", "vr"}:
        raise RuleMistake(f"there is no such key: {', '.join(sorted(unknown))}")
    if not isinstance(verb, str) or verb not in VERBS:
        raise RuleMistake(f"the action must be one of {', '.join(VERBS)}")
    if not isinstance(value, str):
        raise RuleMistake("the value must be text in quotes")
    if verb == "replace" and not value:
        raise RuleMistake('replace needs a value; to leave the attribute empty, say "empty"')
    if verb != "replace" and "value" in what:
        raise RuleMistake(f"{verb} takes no value")
    return Rule((VERBS[verb],), "site", verb, value, vr)


def _private_target(match: re.Match[str], own: Rule) -> tuple[int, str, int]:
    group = int(match[1], 16)
    if not group & 1:
        raise RuleMistake("a private group is odd")
    if own.verb not in ("replace", "hash"):
        if own.vr:
            raise RuleMistake(f"{own.verb} takes no vr")
    elif own.vr not in (_WRITABLE if own.verb == "replace" else _HASHABLE):
        raise RuleMistake(
            f"{own.verb} of a private attribute needs the vr that its vendor states, of text:"
            f' {{ action = "{own.verb}", vr = "LO" }}'
        )
    if own.verb == "replace":
        _check_value(own.vr, own.value)
    return group, match[2].strip(), int(match[3], 16)


def _public_tag(where: str) -> int:
    match = _TAG.fullmatch(where)
    if not match:
        if where in keywords():
            return keywords()[where]
        raise RuleMistake("there is no attribute with this keyword, and it is no tag")
    tag = int((match[1] + match[2]).lower().replace("xx", "00"), 16)
    if tag >> 16 & 1:
        raise RuleMistake('name a private attribute with its creator: (gggg,"CREATOR",ee)')
    return base_tag(tag)


def _check(tag: int, vr: str, verb: str, value: str) -> None:
    if tag in _DECIDED:
        raise RuleMistake(_DECIDED[tag])
    if uid_roles().get(tag) == "definition" or tag >> 16 in (0x0000, 0x0002, 0x0004, 0x7FE0):
        raise RuleMistake("this attribute says what the object is; the node decides about it")
    if tag == _NAME and verb == "keep":
        raise RuleMistake("a Patient's Name never leaves; the pseudonym stands in its place")
    if vr == "SQ" and verb not in ("keep", "remove", "empty"):
        raise RuleMistake("a sequence can only be kept (and its items treated), removed or emptied")
    if verb == "hash" and vr not in _HASHABLE:
        raise RuleMistake(f"only text can be hashed; this attribute is {vr}")
    if verb == "remap" and vr != "UI":
        raise RuleMistake(f"only UIDs can be remapped; this attribute is {vr}")
    if verb == "shift" and vr not in TEMPORAL:
        raise RuleMistake(f"only dates and times can be shifted; this attribute is {vr}")
    if verb == "replace":
        _check_value(vr, value)


def _check_value(vr: str, value: str) -> None:
    if vr not in _WRITABLE:
        raise RuleMistake(f"a value of VR {vr} cannot be given here")
    if not value.isprintable():
        raise RuleMistake("the value has control characters")
    parts = [value] if vr in ("ST", "LT", "UT", "UR") else value.split("\\")
    if any(len(part) > _MAX_LENGTH.get(vr, len(part)) for part in parts):
        raise RuleMistake(f"a value of VR {vr} has at most {_MAX_LENGTH[vr]} characters")
    if vr in _SHAPE and not all(_SHAPE[vr].fullmatch(part) for part in parts):
        raise RuleMistake(f"this is no value of VR {vr}")
