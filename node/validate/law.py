"""What may lawfully become of a value, a sequence, or an attribute that is gone.

PS3.15 E.1.1 and Table E.1-1a. Any lawful resolution of a compound action is accepted: what the Type
needs, or something stronger (a dummy where the attribute could have gone), never something weaker.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from node.profile.actions import Action, Option, Rule
from node.profile.vocabulary import Standing, standing
from node.validate import charset, results, words
from node.validate.elements import Element
from node.validate.findings import Severity
from node.validate.lawbook import is_private
from node.validate.places import Origin, Where
from node.validate.results import Pair
from node.validate.secrets import TEXT

if TYPE_CHECKING:
    from node.validate.walk import Walk

_CURVES, _OVERLAYS, _OVERLAY_DATA = 0x50, 0x60, 0x3000
_AGE, _WELL_FORMED_AGE = 0x00101010, re.compile(rb"\d{3}[DWMY]")
_GONE_FOR_A_REASON = "The profile would keep this, but there was nothing in it that may stay."
#: In a dummy item: a code of DICOM's own length, or capitals.
_CODE_VALUE, _DUMMY_CODE = 0x00080100, re.compile(rb"\d{6}|[A-Z_-]{1,16}")
_TEMPORAL = frozenset({"DA", "DT", "TM"})
_RETAINS_UIDS = Option.RETAIN_UIDS
_SCHEME, _DUMMY_SCHEME = 0x00080102, re.compile(rb"DCM|SCT|LN|UCUM|99[A-Z]{1,8}")
_DEFINED_TERM = re.compile(rb"[A-Z_ ]{1,16}")
#: Nobody can clean what nobody can read.
_OPAQUE = frozenset({"OB", "OW", "UN"})
_GOING = frozenset({Action.X, Action.Z, Action.D})


def recurses(rule: Rule) -> bool:
    """Tell whether a sequence may stay with its items treated: K and C always, U to remap."""
    return not _GOING.issuperset(rule.actions)


def origin_of(walk: Walk, rule: Rule, pair: Pair, where: Where | None) -> Origin:
    """Judge a value by its rule."""
    actions = rule.actions
    if results.is_empty(pair.output):
        empties = results.is_empty(pair.source) or _may_be_empty(walk, rule, pair, where)
        return Origin.PROVEN if empties else Origin.STRAY
    if Action.K in actions and results.is_kept(pair):
        return Origin.KEPT
    if Action.U in actions and pair.output.vr == "UI" and results.is_remapped(pair, walk.patient):
        return Origin.PROVEN
    if Action.C in actions:
        origin = _origin_of_cleaned(walk, pair)
        if origin is not Origin.STRAY:
            return origin
    if _may_be_dummy(walk, rule, pair, where) and results.is_dummy(pair):
        return Origin.WRITTEN
    return Origin.STRAY


def _may_be_empty(walk: Walk, rule: Rule, pair: Pair, where: Where | None) -> bool:
    kind = walk.type_of(where, pair.output.tag)
    if kind == "1":
        return False
    if Action.K in rule.actions and says_secret(walk, pair.source, pair.source_charset):
        return True
    if Action.C in rule.actions:
        return _cleans_to_nothing(walk, pair.source, pair.source_charset)
    return Action.Z in rule.actions or (Action.X in rule.actions and kind == "2")


def _may_be_dummy(walk: Walk, rule: Rule, pair: Pair, where: Where | None) -> bool:
    if Action.D in rule.actions or Action.Z in rule.actions:
        return True
    kind = walk.type_of(where, pair.output.tag)
    if Action.K in rule.actions and says_secret(walk, pair.source, pair.source_charset):
        return True
    if Action.C in rule.actions:
        return kind == "1" or _cleans_to_nothing(walk, pair.source, pair.source_charset)
    return Action.X in rule.actions and kind != "3"


def _origin_of_cleaned(walk: Walk, pair: Pair) -> Origin:
    """C: a date is shifted, a UID remapped, a text cleaned, anything else kept."""
    vr = pair.output.vr
    options = walk.recipe.profile.options
    kept = Origin.KEPT if results.is_kept(pair) else Origin.STRAY
    if vr in _TEMPORAL:
        full = Option.RETAIN_LONGITUDINAL_FULL_DATES in options
        shifted = results.is_shifted(pair, walk.patient)
        return Origin.PROVEN if shifted else kept if full else Origin.STRAY
    if vr == "UI":
        remapped = results.is_remapped(pair, walk.patient)
        return Origin.PROVEN if remapped else kept if _RETAINS_UIDS in options else Origin.STRAY
    if vr in TEXT or (vr == "CS" and not is_private(pair.output.tag)):
        cleaned = results.is_cleaned(pair, walk.secrets.patient_words)
        return Origin.WRITTEN if cleaned else Origin.STRAY
    if vr in _OPAQUE and not is_private(pair.output.tag):
        return Origin.STRAY
    return kept


def origin_of_sequence(walk: Walk, rule: Rule, pair: Pair, where: Where | None) -> Origin:
    """Judge a sequence whose items are not the original's: empty, or dummies throughout."""
    if results.is_empty(pair.output):
        empties = results.is_empty(pair.source) or _may_be_empty(walk, rule, pair, where)
        return Origin.PROVEN if empties else Origin.STRAY
    if _may_be_dummy(walk, rule, pair, where) and is_dummy_sequence(pair.output):
        return Origin.WRITTEN
    return Origin.STRAY


def is_dummy_sequence(element: Element) -> bool:
    """Tell whether every value in a sequence's items is a dummy or a code."""
    for item in element.items or ():
        for inner in item:
            if inner.items is not None:
                if not is_dummy_sequence(inner):
                    return False
            elif inner.value and not _is_dummy_in_item(inner):
                return False
    return not element.value or element.items is not None


def _is_dummy_in_item(element: Element) -> bool:
    """Tell whether a value in a dummy item is a dummy, a code, or a term known to be safe."""
    value = element.value.strip(b" \0")
    if element.tag == _CODE_VALUE:
        return bool(_DUMMY_CODE.fullmatch(value))
    if element.tag == _SCHEME:
        return bool(_DUMMY_SCHEME.fullmatch(value))
    if element.vr == "CS":
        return bool(_DEFINED_TERM.fullmatch(value))
    if results.is_dummy_value(element.vr, value):
        return True
    found = words.words(value.decode("latin_1"))
    return element.vr in TEXT and not any(standing(word) is Standing.UNKNOWN for word in found)


def check_absent(
    walk: Walk, rule: Rule, element: Element, where: Where | None, before: tuple[str, ...]
) -> None:
    """See that an attribute which is gone was allowed to go."""
    actions = rule.actions
    if results.is_empty(element) or actions == (Action.X,):
        return
    if rule.verb in ("remove", "empty"):
        return
    if _may_go(walk, rule, element, before):
        actions = (*actions, Action.X)
    kind = walk.type_of(where, element.tag)
    if Action.K in rule.actions and Action.X in actions and element.tag >> 24 != _OVERLAYS:
        walk.report(Severity.NOTE, where, element.tag, _GONE_FOR_A_REASON)
    if Action.X not in actions:
        walk.report(
            Severity.INVALID,
            where,
            element.tag,
            f"The profile wants {rule.code} here, but the attribute is gone.",
        )
    elif kind != "3":
        walk.report(
            Severity.INVALID,
            where,
            element.tag,
            f"Type {kind} in this IOD and present in the original, but gone.",
        )


def _may_go(walk: Walk, rule: Rule, element: Element, before: tuple[str, ...]) -> bool:
    """Tell whether an attribute that the profile keeps or cleans may go all the same."""
    if Action.C in rule.actions and _cleans_to_nothing(walk, element, before):
        return True
    if element.tag >> 24 == _CURVES:
        return True
    if element.tag >> 24 == _OVERLAYS:
        return element.tag & 0xFFFF0000 | _OVERLAY_DATA not in walk.kept
    if element.tag == _AGE and not _WELL_FORMED_AGE.fullmatch(element.value):
        return True
    return says_secret(walk, element, before)


def says_secret(walk: Walk, element: Element, declared: tuple[str, ...]) -> bool:
    """Tell whether a value that is kept otherwise says a name, ID or place and so had better go."""
    if element.vr in results.NUMBERS:
        spelled = element.value.replace(b"\0", b"").lower()
        return any(word.encode() in spelled for word in walk.secrets.words if words.is_strong(word))
    if element.vr not in TEXT and element.vr != "CS":
        return False
    text = words.fold(charset.decode(element.value, declared))
    secrets = walk.secrets
    return (
        any(word in text for word in secrets.words if words.is_strong(word))
        or not secrets.words.keys().isdisjoint(words.words(text))
        or not secrets.dates.isdisjoint(words.dates(text))
        or not secrets.uids.isdisjoint(words.uids(text))
    )


def _cleans_to_nothing(walk: Walk, element: Element, before: tuple[str, ...]) -> bool:
    """Tell whether cleaning may leave nothing of a value."""
    if element.vr not in _TEMPORAL:
        opaque = element.vr in _OPAQUE and not is_private(element.tag)
        return opaque or element.vr in TEXT or element.vr == "CS"
    gone = element._replace(value=b"")
    return results.is_unparsable(Pair(element, gone, before, before)) or not walk.patient.days


def report_stray(walk: Walk, rule: Rule, pair: Pair, where: Where | None) -> None:
    """Say that a value is not what its rule allows: a leak if it is still the original's."""
    tag = pair.output.tag
    same = pair.output.items is None and results.is_kept(pair)
    if results.is_empty(pair.output):
        walk.report(Severity.INVALID, where, tag, f"Empty, but the profile wants {rule.code} here.")
    elif same and rule.actions != (Action.K,):
        walk.report(
            Severity.LEAK,
            where,
            tag,
            f"Still the original's value, though the profile wants {rule.code} here.",
        )
    else:
        walk.report(
            Severity.INVALID,
            where,
            tag,
            f"Not a lawful result of {rule.code} upon the original's value.",
        )


def decoded(element: Element, declared: tuple[str, ...]) -> str:
    """Give an element's value as text without padding."""
    return charset.decode(element.value, declared).strip(" \0")
