"""Source and output side by side: each attribute is taken to the law that its rule asks for.

The law itself is in `law` (values and sequences) and `special` (pseudonyms, markers, sites' rules).
What the key does not prove becomes a `Place` to be searched for the original's values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from node.profile.actions import Action, Rule
from node.profile.iod import type_of
from node.profile.recipe import Recipe
from node.validate import charset, content, law, special
from node.validate.elements import BULK, PRIVATE, Element, Item
from node.validate.findings import Finding, Severity
from node.validate.lawbook import is_creator, is_private, private_elements, private_rule
from node.validate.legible import add_all_places, add_place
from node.validate.memory import Key, Step, key_of
from node.validate.places import Origin, Place, Where, path
from node.validate.results import Pair, Patient, is_lawful_vr
from node.validate.secrets import SPECIFIC_CHARACTER_SET, Secrets

_ONLY_KEPT, _ONLY_REMOVED = (Action.K,), (Action.X,)


@dataclass(slots=True)
class Walk:
    """What the walk knows, and what it has found so far."""

    recipe: Recipe
    patient: Patient
    #: Issuer of Patient ID that stands for the whole data set.
    issuer: str
    secrets: Secrets
    sop_class_uid: str
    present: Mapping[int, Element]
    #: Top-level elements of the output.
    kept: Mapping[int, Element]
    big_endian: bool = False
    transcoded: bool = False
    keeps_private: bool = False
    findings: list[Finding] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    def report(self, severity: Severity, where: Where | None, tag: int, explanation: str) -> None:
        """Add a finding of this check."""
        self.findings.append(Finding("law", severity, path(where, tag), explanation))

    def type_of(self, where: Where | None, tag: int) -> str:
        """Give the Type of an attribute at its place in the instance's IOD: "1", "2" or "3"."""
        tags = (*where.tags, tag) if where else (tag,)
        return type_of(self.sop_class_uid, tags, self.present)


@dataclass(frozen=True, slots=True)
class Level:
    """An item and what became of it, where they stand, and the character sets in force."""

    source: Item
    output: Item
    where: Where | None
    before: tuple[str, ...]
    after: tuple[str, ...]
    #: The rule of the SR content item that this is, or None.
    concept: Rule | None = None


def walk_dataset(walk: Walk, level: Level, proven: set[Key]) -> list[Step]:
    """Compare a data set with what became of it, but for what is proven already."""
    steps: list[Step] = []
    source, output = level.source.by_tag, level.output.by_tag
    public = walk.recipe.profile.public
    for tag, element in output.items():
        if tag & PRIVATE:
            continue
        key = key_of(source.get(tag), element)
        if key not in proven:
            steps.append(Step(key, len(walk.findings), len(walk.places)))
            _walk_present(walk, level, element)
    for tag, element in source.items():
        if tag & PRIVATE or tag in output or public(tag, element.vr).actions == _ONLY_REMOVED:
            continue
        key = key_of(element, None)
        if key not in proven:
            steps.append(Step(key, len(walk.findings), len(walk.places)))
            _walk_absent(walk, level, element)
    steps.append(Step((None, None), len(walk.findings), len(walk.places)))
    _walk_private(walk, level)
    return steps


def walk_items(walk: Walk, level: Level) -> None:
    """Compare an item with what became of it, and everything below."""
    source, output = level.source.by_tag, level.output.by_tag
    for tag, element in output.items():
        if not tag & PRIVATE:
            _walk_present(walk, level, element)
    for tag, element in source.items():
        if tag not in output and not tag & PRIVATE:
            _walk_absent(walk, level, element)
    _walk_private(walk, level)


def _walk_present(walk: Walk, level: Level, element: Element) -> None:
    twin = level.source.by_tag.get(element.tag)
    if twin is None:
        origin = special.origin_of_inserted(walk, element, level.where, level.after)
        add_all_places(walk.places, origin, element, level.where, level.after)
    else:
        rule = walk.recipe.profile.public(element.tag, element.vr)
        _walk_pair(walk, level, rule, twin, element)


def _walk_absent(walk: Walk, level: Level, element: Element) -> None:
    rule = walk.recipe.profile.public(element.tag, element.vr)
    if rule.actions != _ONLY_REMOVED and element.tag not in BULK:
        rule = _with_concept(level, rule, element.tag)
        law.check_absent(walk, rule, element, level.where, level.before)


def _with_concept(level: Level, rule: Rule, tag: int) -> Rule:
    """Let an SR content item's concept decide about its value."""
    if level.concept is not None and tag in content.VALUES:
        return content.combined(level.concept, rule)
    return rule


def _walk_pair(walk: Walk, level: Level, rule: Rule, twin: Element, element: Element) -> None:
    tag, where = element.tag, level.where
    rule = _with_concept(level, rule, tag)
    if _is_plainly_kept(rule, twin, element):
        add_place(walk.places, Origin.KEPT, element, where, level.after)
        return
    pair = Pair(twin, element, level.before, level.after, walk.big_endian)
    if not is_lawful_vr(pair):
        walk.report(
            Severity.INVALID,
            where,
            tag,
            f"The VR {element.vr} is neither the original's nor the dictionary's.",
        )
    if tag in BULK and where is None:
        return
    if tag in special.LAWS and not rule.verb:
        origin = special.LAWS[tag](walk, rule, pair, level)
    elif rule.verb:
        origin = special.origin_by_site_rule(walk, rule, pair, level)
    elif element.items is None and twin.items is None:
        origin = law.origin_of(walk, rule, pair, where)
    else:
        _walk_sequence(walk, level, rule, pair)
        return
    if origin is Origin.STRAY:
        law.report_stray(walk, rule, pair, where)
    add_all_places(walk.places, origin, element, where, level.after)


def _is_plainly_kept(rule: Rule, twin: Element, element: Element) -> bool:
    """Tell the usual case fast: kept, not a byte changed."""
    return (
        rule.actions == _ONLY_KEPT
        and element.value == twin.value
        and element.vr == twin.vr
        and element.items is None
        and not rule.verb
        and element.tag not in special.LAWS
        and element.tag not in BULK
    )


def _walk_sequence(walk: Walk, level: Level, rule: Rule, pair: Pair) -> None:
    """Compare the items of a sequence that stays, or see that its items are lawful dummies."""
    where, tag = level.where, pair.output.tag
    if law.recurses(rule) and pair.source.items is not None and pair.output.items is not None:
        concepts = content.concepts(walk.recipe.profile, tag, pair.source.items)
        matches = content.align(pair.source.items, pair.output.items, concepts)
        if matches is not None:
            for index, (before, after) in enumerate(matches):
                inner = Where(where, tag, index)
                rule_inside = concepts[before] if concepts else None
                source, output = pair.source.items[before], pair.output.items[after]
                walk_items(walk, _level(level, source, output, inner, rule_inside))
            return
    origin = law.origin_of_sequence(walk, rule, pair, where)
    if origin is Origin.STRAY:
        law.report_stray(walk, rule, pair, where)
    add_all_places(walk.places, origin, pair.output, where, level.after)


def _level(
    outer: Level, source: Item, output: Item, where: Where | None, concept: Rule | None
) -> Level:
    before, after = source.value(SPECIFIC_CHARACTER_SET), output.value(SPECIFIC_CHARACTER_SET)
    return Level(
        source, output, where,
        charset.terms(before) if before else outer.before,
        charset.terms(after) if after else outer.after,
        concept,
    )  # fmt: skip


def _walk_private(walk: Walk, level: Level) -> None:
    """Pair private elements by group, creator and last byte: their blocks may have moved."""
    odd = any(tag & PRIVATE for tag in level.output.by_tag)
    if not odd and not (walk.keeps_private and any(t & PRIVATE for t in level.source.by_tag)):
        return
    before, after = private_elements(level.source), private_elements(level.output)
    profile = walk.recipe.profile
    indexed = {element.start for element in after.values()}
    for tag, element in level.output.by_tag.items():
        if is_creator(tag):
            _check_creator(walk, level, element)
        elif is_private(tag) and element.start not in indexed:
            walk.report(Severity.INVALID, level.where, tag, "A private attribute stands twice.")
            add_all_places(walk.places, Origin.STRAY, element, level.where, level.after)
    for (group, creator, number), element in after.items():
        twin = before.get((group, creator, number))
        if twin is None:
            walk.report(Severity.INVALID, level.where, element.tag, "The original has no such.")
            add_all_places(walk.places, Origin.STRAY, element, level.where, level.after)
        else:
            rule = private_rule(profile, group, creator, number, element.vr)
            _walk_pair(walk, level, rule, twin, element)
    for (group, creator, number), element in before.items():
        if (group, creator, number) not in after:
            rule = private_rule(profile, group, creator, number, element.vr)
            if rule.actions != _ONLY_REMOVED:
                law.check_absent(walk, rule, element, level.where, level.before)


def _check_creator(walk: Walk, level: Level, element: Element) -> None:
    """See that the original names this creator too and something of its block was kept."""
    group, block = element.tag >> 16, element.tag & 0xFF
    names = {
        twin.value.strip(b" \0")
        for tag, twin in level.source.by_tag.items()
        if tag >> 16 == group and is_creator(tag)
    }
    owns = any(tag >> 16 == group and (tag & 0xFFFF) >> 8 == block for tag in level.output.by_tag)
    if element.value.strip(b" \0") not in names or not owns:
        walk.report(
            Severity.INVALID,
            level.where,
            element.tag,
            "This private creator is not the original's, or owns nothing here.",
        )
        add_place(walk.places, Origin.STRAY, element, level.where, level.after)
