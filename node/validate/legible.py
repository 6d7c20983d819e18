"""Output values that could spell something, gathered to be searched for the original's."""

from __future__ import annotations

from node.profile.tables import uid_roles
from node.validate import charset, content, special
from node.validate.elements import Element
from node.validate.judge import BINARY_NUMBERS
from node.validate.places import Origin, Place, Where
from node.validate.results import NUMBERS
from node.validate.search import ONE_NUMBER
from node.validate.secrets import SPECIFIC_CHARACTER_SET, TEXT

#: Values of these VRs are numbers if they hold nothing but these characters; else they are text.
_DIGITS = {
    "DS": b"0123456789+-.eE \\\0", "IS": b"0123456789+- \\\0", "DA": b"0123456789. \\\0",
    "TM": b"0123456789.: \\\0", "DT": b"0123456789.+- \\\0", "AS": b"0123456789DWMY \\\0",
    "UI": b"0123456789.\\ \0",
}  # fmt: skip
_SEARCHED = TEXT | {"CS", "OB", "OW", "UN"}
#: A kept number or UID of so many characters could be somebody's ID.
_LONG_NUMBERS, _LONG = frozenset({"DS", "IS", "UI"}), 6


def add_place(
    places: list[Place],
    origin: Origin,
    element: Element,
    where: Where | None,
    after: tuple[str, ...],
) -> None:
    """Have a value searched for the original's values, unless it is proven or a mere number."""
    if origin is Origin.PROVEN or not element.value:
        return
    if element.tag in special.OURS and (where is None or where.tag == special.METHOD_CODES):
        element = special.without_ours(element, where)
    if _may_spell(element, origin):
        places.append(Place(origin, element, where, after))


def _may_spell(element: Element, origin: Origin) -> bool:
    """Tell whether a value could spell something: text, many numbers, or one as long as an ID."""
    vr, value = element.vr, element.value
    if vr == "UI" and uid_roles().get(element.tag) != "definition":
        # What a concept keeps, such as an observer's UID, is an attribute whose UIDs go elsewhere.
        kept = origin is Origin.KEPT and element.tag not in content.VALUES
        return kept or bool(value.translate(None, _DIGITS["UI"]))
    if vr in _SEARCHED or (vr in NUMBERS and len(value) > ONE_NUMBER) or vr in BINARY_NUMBERS:
        return True
    if vr in _LONG_NUMBERS and len(value) >= _LONG:
        return True
    digits = _DIGITS.get(vr)
    return digits is not None and bool(value.translate(None, digits))


def add_all_places(
    places: list[Place],
    origin: Origin,
    element: Element,
    where: Where | None,
    after: tuple[str, ...],
) -> None:
    """Have an element and everything in its items searched."""
    add_place(places, origin, element, where, after)
    for index, item in enumerate(element.items or ()):
        own = item.value(SPECIFIC_CHARACTER_SET)
        for inner in item:
            add_all_places(
                places,
                origin,
                inner,
                Where(where, element.tag, index),
                charset.terms(own) if own else after,
            )
