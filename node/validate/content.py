"""SR content trees: which content item became which, and what its concept allows.

Under Clean Structured Content (PS3.15 E.3.4) the concept name decides about a content item and its
value; items may go, and the rest keep their order.
"""

from __future__ import annotations

from node.profile.actions import Action, Option, Rule
from node.profile.profile import Profile
from node.validate.elements import Item

#: Sequences whose items are content items (PS3.15 E.3.4).
_CONTENT = frozenset({0x0040A730, 0x00400555, 0x00400610, 0x0040B020, 0x00400612})
_CONCEPT_NAME, _VALUE_TYPE = 0x0040A043, 0x0040A040
_CODE_VALUE, _SCHEME = 0x00080100, 0x00080102
#: The attributes that hold a content item's value, by value type (PS3.3 C.17.3.2, C.18).
VALUES = frozenset(
    {0x0040A160, 0x0040A120, 0x0040A121, 0x0040A122, 0x0040A123, 0x0040A124, 0x0040A168, 0x0040A300}
)


def concepts(profile: Profile, sequence: int, items: tuple[Item, ...]) -> tuple[Rule, ...]:
    """Give the rule of each content item; empty if the sequence's items are not to be judged so."""
    if sequence not in _CONTENT or Option.CLEAN_STRUCTURED_CONTENT not in profile.options:
        return ()
    return tuple(_concept_rule(profile, item) for item in items)


def _concept_rule(profile: Profile, item: Item) -> Rule:
    name = item.by_tag.get(_CONCEPT_NAME)
    code = name.items[0] if name and name.items else Item()
    return profile.concept(
        _text(code, _SCHEME), _text(code, _CODE_VALUE), _text(item, _VALUE_TYPE)
    )  # fmt: skip


def _text(item: Item, tag: int) -> str:
    return item.value(tag).decode("latin_1").strip(" \0")


def combined(concept: Rule, attribute: Rule) -> Rule:
    """Let the concept decide about a value; where it keeps or cleans, the attribute's rule too."""
    if Action.K not in concept.actions and Action.C not in concept.actions:
        return concept
    return Rule((*concept.actions, *attribute.actions), concept.origin)


def align(
    source: tuple[Item, ...], output: tuple[Item, ...], rules: tuple[Rule, ...]
) -> list[tuple[int, int]] | None:
    """Pair each output item with the source item that it was; None if there is no such pairing.

    Items pair in order. Only content items whose concept allows X may be missing.
    """
    if not rules:
        return [(at, at) for at in range(len(source))] if len(source) == len(output) else None
    pairs: list[tuple[int, int]] = []
    for at, item in enumerate(source):
        if rules[at].actions == (Action.X,):
            continue
        following = output[len(pairs)] if len(pairs) < len(output) else None
        if following is not None and _signature(item) == _signature(following):
            pairs.append((at, len(pairs)))
        elif Action.X not in rules[at].actions:
            return None
    return pairs if len(pairs) == len(output) else None


def _signature(item: Item) -> tuple[str, ...]:
    """Give what a content item keeps whatever happens to its value."""
    name = item.by_tag.get(_CONCEPT_NAME)
    code = name.items[0] if name and name.items else Item()
    return (_text(item, _VALUE_TYPE), _text(code, _SCHEME), _text(code, _CODE_VALUE))
