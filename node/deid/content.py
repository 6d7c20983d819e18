"""SR content items under Clean Structured Content (PS3.15 E.3.4): decided by concept.

Content Sequence, Acquisition Context, Specimen Preparation Steps, Protocol Context and Waveform
Annotations hold content items (PS3.3 C.17.3, C.7.6.14). The concept name decides what happens to an
item's value; everything else in it follows the attribute rules.
"""

from __future__ import annotations

from functools import lru_cache

from node.deid import normalise
from node.deid.charset import decode_leniently
from node.deid.dummy_items import dummy_sequence
from node.deid.element import Element
from node.deid.rebuild import Plan, item_bytes, items_of, sequence
from node.deid.treatment import Treatment
from node.profile.actions import Action

#: Unformatted Text Value: what a waveform annotation says.
_UNFORMATTED = 0x00700006
#: Sequences of content items, wherever they stand.
SEQUENCES = frozenset({0x0040A730, 0x00400555, 0x00400612, 0x00400440, 0x00400441, 0x0040B020})
#: Attributes that hold a content item's value: text, name, date and time, UID.
VALUES = frozenset({
    0x0040A120, 0x0040A121, 0x0040A122, 0x0040A123, 0x0040A124, 0x0040A160, _UNFORMATTED,
})  # fmt: skip

_CONTENT = 0x0040A730
_VALUE_TYPE, _CONCEPT_NAME, _NUMERIC = 0x0040A040, 0x0040A043, 0x0040A30A
_CODE_VALUE, _LONG_CODE, _SCHEME = 0x00080100, 0x00080119, 0x00080102
_MEASURED = 0x0040A300
_SUBJECT_AGE = "DCM", "121033"
_OLDEST = 89
_SHORT = 1024  # bytes of a coded entry that may come again


def clean(treatment: Treatment, plan: Plan, buffer: bytes, element: Element) -> bytes:
    """Treat a sequence of content items; items whose concept is removed go with all below them."""
    tag = element[0]
    buffer, items = items_of(treatment, plan, buffer, element)
    kept: list[bytes] = []
    for item in items:
        action = _action(treatment, plan, buffer, item)
        if action is not Action.X:
            kept.append(item_bytes(treatment, plan.child(tag, action), buffer, item))
    if kept or not items:
        return sequence(element[1], kept, treatment)
    if tag == _CONTENT and not plan.path:
        return dummy_sequence(tag, implicit=treatment.implicit)
    return b""


def _action(treatment: Treatment, plan: Plan, buffer: bytes, item: list[Element]) -> Action:
    found = {element[0]: element for element in item}
    scheme, code = "", ""
    if _CONCEPT_NAME in found:
        scheme, code = _code(treatment, plan, buffer, found[_CONCEPT_NAME])
    value_type = _text(treatment.encoding, buffer, found.get(_VALUE_TYPE)).upper()
    if not value_type and _UNFORMATTED in found:
        value_type = "TEXT"
    action = plan.concept(scheme, code, value_type)
    if (scheme, code) == _SUBJECT_AGE and _is_over_89(treatment, plan, buffer, found):
        return Action.X
    return action


def _code(treatment: Treatment, plan: Plan, buffer: bytes, element: Element) -> tuple[str, str]:
    """Give coding scheme and code value of a coded entry."""
    _, key, _, start, end, _ = element
    read = _code_of if end - start <= _SHORT else _code_of.__wrapped__
    place = key[4:], treatment.implicit, len(plan.path)
    return read(buffer[start:end], *place, treatment.encoding)


@lru_cache(maxsize=4096)
def _code_of(value: bytes, vr: bytes, implicit: bool, depth: int, encoding: str) -> tuple[str, str]:
    if vr == b"UN":
        value, implicit = normalise.from_unknown(value, depth), False
    buffer, items = normalise.items_within(value, 0, len(value), depth, implicit=implicit)
    found = {element[0]: element for element in items[0]} if items else {}
    code = _text(encoding, buffer, found.get(_CODE_VALUE) or found.get(_LONG_CODE))
    return _text(encoding, buffer, found.get(_SCHEME)), code


def _is_over_89(treatment: Treatment, plan: Plan, buffer: bytes, found: dict[int, Element]) -> bool:
    if _MEASURED not in found:
        return True
    buffer, items = items_of(treatment, plan, buffer, found[_MEASURED])
    for item in items:
        for element in item:
            if element[0] == _NUMERIC:
                try:
                    return not float(_text(treatment.encoding, buffer, element)) <= _OLDEST
                except ValueError:
                    return True
    return False


def _text(encoding: str, buffer: bytes, element: Element | None) -> str:
    if element is None:
        return ""
    return decode_leniently(buffer[element[3] : element[4]], encoding).strip(" \0")
