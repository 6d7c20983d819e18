"""The profile's answer for an attribute where it stands.

A private attribute's rule depends on the creator that its item names for the block (PS3.5 7.8.1).
"""

from __future__ import annotations

from functools import lru_cache

from node.profile.actions import Option, Rule, rule
from node.profile.profile import Profile
from node.profile.tables import safe_private
from node.validate.elements import PRIVATE, Element, Item

#: A private element whose item names no creator for its block: nobody can say what it is.
UNOWNED = rule("X", "structural")
_FIRST_CREATOR, _LAST_CREATOR = 0x10, 0xFF


def is_private(tag: int) -> bool:
    """Tell whether the group is odd."""
    return bool(tag >> 16 & 1)


def is_creator(tag: int) -> bool:
    """Tell whether the element reserves a private block."""
    return is_private(tag) and _FIRST_CREATOR <= tag & 0xFFFF <= _LAST_CREATOR


def creator_of(item: Item, tag: int) -> str:
    """Give the creator of the block that an element is in; empty if its item names none."""
    creator = item.by_tag.get(tag & 0xFFFF0000 | (tag & 0xFFFF) >> 8)
    return _name(creator.value) if creator else ""


@lru_cache(maxsize=1 << 10)
def _name(creator: bytes) -> str:
    return creator.decode("latin_1").strip(" \0")


def private_elements(item: Item) -> dict[tuple[int, str, int], Element]:
    """Index an item's private elements by group, creator and last byte of the element number.

    One that came as UN has the VR that Table E.3.10-1 states for it.
    """
    known = safe_private()
    elements = {}
    for tag, element in item.by_tag.items():
        if tag & PRIVATE and not is_creator(tag):
            key = (tag >> 16, creator_of(item, tag), tag & 0xFF)
            vr = known.get(key, "").split("/")[0] if element.vr == "UN" else ""
            states = vr and vr != "SQ" and element.items is None
            elements[key] = element._replace(vr=vr) if states else element
    return elements


def private_rule(profile: Profile, group: int, creator: str, number: int, vr: str) -> Rule:
    """Give the rule of a private attribute; one in no private block must go."""
    return profile.private(group, creator, number, vr) if creator else UNOWNED


def keeps_private(profile: Profile) -> bool:
    """Tell whether any private attribute may stay at all."""
    return bool(profile.site_private_rules) or Option.RETAIN_SAFE_PRIVATE in profile.options
