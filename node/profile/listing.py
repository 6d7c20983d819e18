"""A profile told attribute by attribute, from the same answers that the engine runs on.

`deid-node profile show` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from node.profile.actions import Option, Rule
from node.profile.profile import Profile
from node.profile.tables import confidentiality_table, dictionary, safe_private


@dataclass(frozen=True, slots=True)
class Line:
    """One attribute: where, what, and by whose word.

    Attributes
    ----------
    tag
        `(0010,0040)`, `(60xx,3000)` or `(0019,"CREATOR",24)`.
    action
        The action code (`X/Z/D`), or a site rule's verb with its value (`replace "SCANNER"`).
    """

    tag: str
    keyword: str
    vr: str
    action: str
    origin: str


def listing(profile: Profile) -> Iterator[Line]:
    """Tell every attribute of the dictionary and the tables, by tag, then the private ones."""
    for tag in sorted(dictionary().keys() | confidentiality_table().keys()):
        known = dictionary().get(tag)
        vr = known.vr if known else ""
        rule = profile.public(tag, vr.split(" or ")[0] or "UN")
        yield Line(_written(tag), known.keyword if known else "", vr, _action(rule), rule.origin)
    private = dict.fromkeys(profile.site_private_rules)
    if Option.RETAIN_SAFE_PRIVATE in profile.options:
        private |= dict.fromkeys(safe_private())
    for group, creator, element in sorted(private):
        vr = safe_private().get((group, creator, element), "")
        rule = profile.private(group, creator, element, vr.split("/")[0] or "UN")
        where = f'({group:04X},"{creator}",{element:02X})'
        yield Line(where, "", vr, _action(rule), rule.origin)
    yield Line("(odd group)", "PrivateAttributes", "", "X", "table")


def _written(tag: int) -> str:
    group = f"{tag >> 24:02X}xx" if tag >> 24 in (0x50, 0x60) else f"{tag >> 16:04X}"
    return f"({group},{tag & 0xFFFF:04X})" if tag != 0x50000000 else "(50xx,xxxx)"  # noqa: PLR2004 -- Table E.1-1's curve row


def _action(rule: Rule) -> str:
    if not rule.verb:
        return rule.code
    return f'{rule.verb} "{rule.value}"' if rule.value else rule.verb
