"""A profile, resolved: for any attribute the one rule that answers for it.

The engine and the validator each ask a profile; neither asks the other. A profile is a value:
frozen, pickled to the workers, and the same content has the same digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node.profile.actions import Option, Rule, rule
from node.profile.concepts import concept_rule
from node.profile.defaults import TEMPORAL
from node.profile.pixel_rules import PixelAction
from node.profile.resolve import private_rule, public_rule
from node.profile.tables import attribute, base_tag, data_digest, profile_codes, storage_classes

#: In an accept list: every storage SOP class of the standard, or every modality.
ANY = "*"

#: Rules remembered per profile: more than the dictionary has, and no peer's nonsense can pass it.
_REMEMBERED = 20_000

_OPTION_CODES = {
    Option.CLEAN_GRAPHICS: "113103",
    Option.CLEAN_STRUCTURED_CONTENT: "113104",
    Option.CLEAN_DESCRIPTORS: "113105",
    Option.RETAIN_LONGITUDINAL_FULL_DATES: "113106",
    Option.RETAIN_LONGITUDINAL_MODIFIED_DATES: "113107",
    Option.RETAIN_PATIENT_CHARACTERISTICS: "113108",
    Option.RETAIN_DEVICE_IDENTITY: "113109",
    Option.RETAIN_UIDS: "113110",
    Option.RETAIN_SAFE_PRIVATE: "113111",
    Option.RETAIN_INSTITUTION_IDENTITY: "113112",
}
_BASIC_CODE = "113100"


@dataclass(frozen=True, slots=True)
class CodeItem:
    """One item of (0012,0064)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What a site decided, on the standard's tables; made by `node.profile.load_profile`.

    Attributes
    ----------
    name, base
        The file's name without `.toml`; "basic", the profile of PS3.15 E.2.
    domain, prefix
        The pseudonyms' domain (subjects of two domains share nothing) and the Patient ID's prefix.
    pixels
        Every pixel risk rule with its action.
    accept_sop_classes, accept_modalities
        What is taken; `ANY` among the SOP classes stands for all storage classes of the standard.
    lookup
        CSV of given pseudonyms, or None.
    site_rules, site_private_rules
        The site's own rules by tag, and by (group, creator, last byte of the element).
    """

    name: str
    base: str
    options: frozenset[Option]
    domain: str
    prefix: str
    pixels: Mapping[str, PixelAction]
    accept_sop_classes: frozenset[str] = frozenset({ANY})
    accept_modalities: frozenset[str] = frozenset({ANY})
    lookup: Path | None = None
    site_rules: Mapping[int, Rule] = field(default_factory=dict)
    site_private_rules: Mapping[tuple[int, str, int], Rule] = field(default_factory=dict)
    _rules: dict[tuple[int, str], Rule] = field(default_factory=dict, compare=False, repr=False)
    _private: dict[tuple[int, str, int, str], Rule] = field(
        default_factory=dict, compare=False, repr=False
    )

    def public(self, tag: int, vr: str) -> Rule:
        """Give the rule of a public attribute, whatever the tag and VR; never raises.

        The site's rule, else the option's column, else the table's basic one, else the VR's
        default. The answer is remembered; a caller in a hurry may keep it under a key of its own.
        """
        found = self._rules.get((tag, vr))
        if found is None:
            found = self._public(tag, vr)
            if len(self._rules) < _REMEMBERED:
                self._rules[tag, vr] = found
        return found

    def _public(self, tag: int, vr: str) -> Rule:
        if tag >> 16 & 1:
            return rule("X", "table")
        return self.site_rules.get(base_tag(tag)) or public_rule(tag, vr, self.options)

    def private(self, group: int, creator: str, element: int, vr: str) -> Rule:
        """Give the rule of a private attribute by its creator, in whatever block it lies."""
        key = (group, creator, element & 0xFF, vr)
        found = self._private.get(key)
        if found is None:
            site = self.site_private_rules.get((group, creator.strip(" \0"), element & 0xFF))
            found = site or private_rule(group, creator, element, vr, self.options)
            if len(self._private) < _REMEMBERED:
                self._private[key] = found
        return found

    def concept(self, scheme: str, code_value: str, value_type: str) -> Rule:
        """Give the rule of an SR content item by its concept name; for clean-structured-content."""
        return concept_rule(scheme, code_value, value_type, self.options)

    def accepts_sop_class(self, uid: str) -> bool:
        """Tell whether instances of a SOP class are taken; one that nobody knows is not."""
        if uid in self.accept_sop_classes:
            return True
        return ANY in self.accept_sop_classes and uid in storage_classes()

    def accepts_modality(self, modality: str) -> bool:
        """Tell whether a modality is taken."""
        return ANY in self.accept_modalities or modality in self.accept_modalities

    @property
    def retains(self) -> tuple[str, ...]:
        """Name what stays, for the manifest: options, then `rule:KEYWORD` per keep rule."""
        options = [option.value for option in Option if option in self.options]
        kept = [_name(tag) for tag, own in sorted(self.site_rules.items()) if own.verb == "keep"]
        kept += [
            f'({group:04X},"{creator}",{element:02X})'
            for (group, creator, element), own in sorted(self.site_private_rules.items())
            if own.verb == "keep"
        ]
        retained = [name for name in options if name.startswith("retain-")]
        return (*retained, *(f"rule:{name}" for name in kept))

    @property
    def longitudinal(self) -> str:
        """(0028,0303): REMOVED, UNMODIFIED or MODIFIED; a site's rule for a date counts too."""
        verbs = {site.verb for tag, site in self.site_rules.items() if _is_temporal(tag)}
        if Option.RETAIN_LONGITUDINAL_MODIFIED_DATES in self.options or "shift" in verbs:
            return "MODIFIED"
        if Option.RETAIN_LONGITUDINAL_FULL_DATES in self.options or "keep" in verbs:
            return "UNMODIFIED"
        return "REMOVED"

    def code_items(self) -> tuple[CodeItem, ...]:
        """Items of (0012,0064), from CID 7050, in the order of their codes."""
        values = [_BASIC_CODE, *sorted(_OPTION_CODES[option] for option in self.options)]
        return tuple(CodeItem(value, "DCM", profile_codes()[value]) for value in values)

    @property
    def digest(self) -> str:
        """SHA-256 hex over everything that decides, the tables included; the name decides nothing.

        A lookup's rows are not in it: they come and go with the patients.
        """
        content = {
            "tables": data_digest(),
            "base": self.base,
            "options": sorted(self.options),
            "domain": self.domain,
            "prefix": self.prefix,
            "pixels": dict(sorted(self.pixels.items())),
            "accept": [sorted(self.accept_sop_classes), sorted(self.accept_modalities)],
            "lookup": self.lookup is not None,
            "rules": [[tag, r.verb, r.value] for tag, r in sorted(self.site_rules.items())],
            "private": [
                [*key, r.verb, r.value, r.vr] for key, r in sorted(self.site_private_rules.items())
            ],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _name(tag: int) -> str:
    known = attribute(tag)
    return known.keyword if known and known.keyword else f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _is_temporal(tag: int) -> bool:
    known = attribute(tag)
    return known is not None and known.vr in TEMPORAL
