"""What a profile settles for every instance, found out once and not once per instance."""

from __future__ import annotations

from dataclasses import dataclass

from node.deid import identifiers
from node.deid.markers import Marks, marks_of
from node.profile.actions import Action
from node.profile.profile import Profile
from node.profile.tables import attribute


@dataclass(frozen=True, slots=True)
class Settled:
    """A profile with its digest, and the attributes whose values no other text may repeat."""

    profile: Profile
    digest: str
    identifying: frozenset[int]
    #: Tag, VR and value that a site's `replace` rules put where the attribute is absent.
    inserts: tuple[tuple[int, str, str], ...]
    #: In explicit VR, and in implicit VR.
    marks: tuple[Marks, Marks]


_recent: list[Settled] = []


def settled(profile: Profile) -> Settled:
    """Settle a profile; the same object is settled once."""
    for each in _recent:
        if each.profile is profile:
            return each
    marks = marks_of(profile, implicit=False), marks_of(profile, implicit=True)
    new = Settled(profile, profile.digest, _identifying(profile), _inserts(profile), marks)
    _recent.append(new)
    del _recent[:-4]
    return new


def _identifying(profile: Profile) -> frozenset[int]:
    """Leave out what the profile itself lets stay: that may be said twice."""
    tags: list[int] = []
    for tag in sorted(identifiers.ALL):
        known = attribute(tag)
        vr = known.vr if known else "UN"
        rule = profile.public(tag, vr)
        if rule.actions != (Action.K,) or rule.verb == "shift":
            tags.append(tag)
    return frozenset(tags)


def _inserts(profile: Profile) -> tuple[tuple[int, str, str], ...]:
    return tuple(
        (tag, known.vr.split(" or ")[0], rule.value)
        for tag, rule in sorted(profile.site_rules.items())
        if rule.verb == "replace" and (known := attribute(tag)) is not None
    )
