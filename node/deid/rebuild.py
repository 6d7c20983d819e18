"""The walk that writes: kept elements go over as the bytes they are, the others as decided.

Neighbours that are kept are copied as one piece. Sequences that are gone through come out with
defined lengths.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from node.deid import normalise, private
from node.deid.charset import encoding_of
from node.deid.element import ITEM, Element
from node.deid.treatment import Treatment
from node.profile.actions import Action

#: What happens to an element: None keeps its bytes, bytes stand in its place (none: removed),
#: and a function finds the bytes by the value.
Apply = Callable[[Treatment, "Plan", bytes, Element], bytes]
Step = Apply | bytes | None

_CHARACTER_SET = 0x00080005
_ODD = 0x00010000  # of a private group
_SHORT = 16_384  # bytes of a sequence that may come again
_REMEMBERED = 512  # of them

#: Steps by which an element becomes the same in every instance of a domain.
_TIMELESS: set[Apply] = set()


class Plan(Protocol):
    """Steps by element key, for the data set or for the items of one sequence.

    `timeless` has what became of sequences that become the same in every instance, by the plan of
    their items, the key for UIDs and their bytes; the plans of all places share it.
    """

    path: tuple[int, ...]
    keeps_private: bool
    timeless: dict[tuple[Plan, bytes, bytes], bytes]

    def __getitem__(self, key: bytes) -> Step: ...

    def private(self, creator: str, key: bytes) -> Step:
        """Give the step of a private attribute by its creator."""
        ...

    def concept(self, scheme: str, code_value: str, value_type: str) -> Action:
        """Give the action of a content item by its concept name."""
        ...

    def child(self, tag: int, item_action: Action | None = None) -> Plan:
        """Give the steps for a sequence's items."""
        ...


def timeless(step: Apply) -> Apply:
    """Mark a step whose outcome hangs on nothing but the element's bytes and the key for UIDs."""
    _TIMELESS.add(step)
    return step


def rebuild(
    buffer: bytes, elements: list[Element], plan: Plan, treatment: Treatment, pieces: list[Any]
) -> None:
    """Append what becomes of elements that follow each other in a buffer."""
    if not elements:
        return
    run = elements[0][2]
    for element in elements:
        step = plan[element[1]]
        if step is None:
            continue
        start = element[2]
        if start > run:
            pieces.append(buffer[run:start])
        run = element[4]
        if step.__class__ is bytes:
            pieces.append(step)
        else:
            if step not in _TIMELESS:
                treatment.timeless = False
            pieces.append(step(treatment, plan, buffer, element))  # type: ignore[operator]  # asked
    if element[4] > run:
        pieces.append(buffer[run : element[4]])


def apply(step: Step, treatment: Treatment, plan: Plan, buffer: bytes, element: Element) -> bytes:
    """Give what becomes of one element."""
    if step is None:
        return buffer[element[2] : element[4]]
    if isinstance(step, bytes):
        return step
    return step(treatment, plan, buffer, element)


@timeless
def recurse(treatment: Treatment, plan: Plan, buffer: bytes, element: Element) -> bytes:
    """Treat a sequence's items with the whole profile (PS3.15 E.1.1: K and C on a sequence).

    The same codes and references come again and again: within an instance they become the same
    every time, and where nothing but their UIDs was changed, in every instance.
    """
    tag, _, start, _, end, _ = element
    child = plan.child(tag)
    if end - start > _SHORT:
        return _recursed(treatment, plan, child, buffer, element)
    old = buffer[start:end]
    anywhere, here = (child, treatment.subkeys.uid, old), (child, treatment.encoding, old)
    if (new := plan.timeless.get(anywhere)) is not None:
        return new
    if (new := treatment.sequences.get(here)) is not None:
        treatment.timeless = False  # this instance's, and so is what holds it
        return new
    outer, treatment.timeless = treatment.timeless, True
    new = _recursed(treatment, plan, child, buffer, element)
    if not treatment.timeless:
        treatment.sequences[here] = new
    else:
        if len(plan.timeless) >= _REMEMBERED:
            plan.timeless.clear()
        plan.timeless[anywhere] = new
    treatment.timeless &= outer
    return new


def _recursed(
    treatment: Treatment, plan: Plan, child: Plan, buffer: bytes, element: Element
) -> bytes:
    buffer, items = items_of(treatment, plan, buffer, element)
    return sequence(
        element[1], [item_bytes(treatment, child, buffer, each) for each in items], treatment
    )


def items_of(
    treatment: Treatment, plan: Plan, buffer: bytes, element: Element
) -> tuple[bytes, list[list[Element]]]:
    """Give the items of a sequence, and the buffer that they lie in."""
    _, key, _, value, end, items = element
    depth = len(plan.path)
    if key[4:] == b"UN":  # a sequence that somebody's implicit VR left as bytes
        buffer = normalise.from_unknown(buffer[value:end], depth)
        return normalise.items_within(buffer, 0, len(buffer), depth, implicit=False)
    if items is None:
        return normalise.items_within(buffer, value, end, depth, implicit=treatment.implicit)
    return buffer, items


def item_bytes(treatment: Treatment, plan: Plan, buffer: bytes, elements: list[Element]) -> bytes:
    """Treat the elements of one item and give them with the item's header."""
    pieces: list[bytes] = []
    declares = elements and elements[0][0] <= _CHARACTER_SET
    odd = [element for element in elements if element[0] & _ODD] if plan.keeps_private else ()
    if not declares and not odd:
        rebuild(buffer, elements, plan, treatment, pieces)
    else:
        outer = treatment.encoding, treatment.privates
        if declared := _declared_character_set(buffer, elements):
            treatment.encoding = encoding_of(declared, "")
        if odd:
            treatment.timeless = False
            odd_ones = [(buffer, element) for element in odd]
            treatment.privates = private.survivors(treatment, plan, odd_ones)
        rebuild(buffer, elements, plan, treatment, pieces)
        treatment.encoding, treatment.privates = outer
    body = b"".join(pieces)
    return ITEM + len(body).to_bytes(4, "little") + body


def sequence(key: bytes, items: list[bytes], treatment: Treatment) -> bytes:
    """Give a sequence of items that have their headers already."""
    value = b"".join(items)
    length = len(value).to_bytes(4, "little")
    if treatment.implicit:
        return key[:4] + length + value
    return key[:4] + b"SQ\0\0" + length + value


def _declared_character_set(buffer: bytes, elements: list[Element]) -> bytes:
    for tag, _, _, value, end, _ in elements[:2]:
        if tag == _CHARACTER_SET:
            return buffer[value:end]
    return b""
