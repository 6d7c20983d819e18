"""Attributes with a law of their own: pseudonyms, markers, ages, and what a site's rules say."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from node.profile.actions import Action, Rule
from node.profile.recipe import Recipe
from node.profile.tables import profile_codes
from node.validate import charset, law, lookup, pseudonyms, results
from node.validate.elements import Element
from node.validate.findings import Severity
from node.validate.lawbook import creator_of, is_private
from node.validate.places import Origin, Where
from node.validate.results import Pair
from node.validate.secrets import SPECIFIC_CHARACTER_SET

if TYPE_CHECKING:
    from node.validate.walk import Level, Walk

ACCESSION_NUMBER, STUDY_ID = 0x00080050, 0x00200010
PATIENT_NAME, PATIENT_ID, ISSUER = 0x00100010, 0x00100020, 0x00100021
PATIENT_AGE, TIMEZONE = 0x00101010, 0x00080201
IDENTITY_REMOVED, METHOD, METHOD_CODES = 0x00120062, 0x00120063, 0x00120064
_CODE_MEANING = 0x00080104
#: Attributes that hold, beside others' words, our own.
OURS = frozenset({METHOD, _CODE_MEANING})
_OFFSET = re.compile(r"[+-]\d{4}")
#: With this we begin in De-identification Method; `markers` holds the rest to the letter.
_OURS = b"deid-node "
BURNED_IN, RECOGNIZABLE, LONGITUDINAL = 0x00280301, 0x00280302, 0x00280303
#: What may differ when the pixel data was written in another transfer syntax.
_PIXEL_DESCRIPTION = frozenset(
    {0x00280002, 0x00280004, 0x00280006, 0x00280100, 0x00280101, 0x00280102, 0x00282110}
)
_OLDEST = 89  # years; above it an age is 090Y


def _patient(walk: Walk, rule: Rule, pair: Pair, level: Level) -> Origin:
    """Judge Patient ID and Patient's Name: the patient's pseudonym, at any depth."""
    del rule
    after = pair.after
    if after == walk.patient.pseudonym and after:
        return Origin.PROVEN
    if level.where is not None and (not after or after == _pseudonym_of_item(walk, level)):
        return Origin.PROVEN
    if results.is_kept(pair) and pair.before:
        return Origin.STRAY
    walk.report(
        Severity.INVALID, level.where, pair.output.tag, "Not the pseudonym that the key gives."
    )
    return Origin.WRITTEN


def _pseudonym_of_item(walk: Walk, level: Level) -> str:
    """Give the pseudonym of the patient whom an item names by a Patient ID of its own."""
    own, issuer = level.source.by_tag.get(PATIENT_ID), level.source.by_tag.get(ISSUER)
    if own is None:
        return ""
    patient_id = law.decoded(own, level.before)
    named = law.decoded(issuer, level.before) if issuer else ""
    return pseudonym(walk.recipe, patient_id, named or walk.issuer)


def pseudonym(recipe: Recipe, patient_id: str, issuer: str) -> str:
    """Give what stands for a patient in the output: the lookup's, else prefix and code."""
    if recipe.profile.lookup is not None:
        return lookup.pseudonym(recipe.profile.lookup, patient_id, issuer)
    keys = pseudonyms.subkeys(recipe.key, recipe.profile.domain)
    identity = pseudonyms.identity(issuer, patient_id)
    return recipe.profile.prefix + pseudonyms.patient_code(keys, identity) if identity else ""


def _accession_number(walk: Walk, rule: Rule, pair: Pair, level: Level) -> Origin:
    return _coded(walk, rule, pair, level, pseudonyms.accession_number)


def _study_id(walk: Walk, rule: Rule, pair: Pair, level: Level) -> Origin:
    return _coded(walk, rule, pair, level, pseudonyms.study_id)


def _coded(walk: Walk, rule: Rule, pair: Pair, level: Level, code: Callable[..., str]) -> Origin:
    image = code(walk.patient.keys, walk.patient.identity, pair.before)
    if pair.after == image:
        return Origin.PROVEN
    if Action.K in rule.actions:
        return law.origin_of(walk, rule, pair, level.where)
    if results.is_kept(pair):
        return Origin.STRAY
    walk.report(
        Severity.INVALID, level.where, pair.output.tag, "Not the pseudonym that the key gives."
    )
    return Origin.WRITTEN


def _character_set(walk: Walk, rule: Rule, pair: Pair, level: Level) -> Origin:
    """Judge the character set: the original's or less (plain ASCII), or Unicode."""
    del rule
    before = charset.terms(pair.source.value)
    after = charset.terms(pair.output.value)
    if not charset.is_known(after):
        walk.report(
            Severity.INVALID, level.where, pair.output.tag, "Not a term that DICOM defines."
        )
        return Origin.WRITTEN
    if after == ("ISO_IR 192",) or set(after) <= {*before, "", "ISO_IR 6"}:
        return Origin.PROVEN
    walk.report(
        Severity.INVALID, level.where, pair.output.tag, "Neither the original's nor Unicode."
    )
    return Origin.WRITTEN


def _age(walk: Walk, rule: Rule, pair: Pair, level: Level) -> Origin:
    """Judge an age: one that is kept is at most 089Y, else 090Y."""
    before, after = pair.before, pair.after
    if before[:3].isdigit() and before[3:] == "Y" and int(before[:3]) > _OLDEST:
        if Action.K in rule.actions and after == "090Y":
            return Origin.PROVEN
        if after == before:
            walk.report(Severity.LEAK, level.where, pair.output.tag, "An age over 89 years.")
            return Origin.KEPT
    return law.origin_of(walk, rule, pair, level.where)


def _burned_in(walk: Walk, rule: Rule, pair: Pair, level: Level) -> Origin:
    """Judge what is said of the pixels: NO only where the original says so, we clean none."""
    del rule
    if not results.is_kept(pair):
        walk.report(
            Severity.INVALID,
            level.where,
            pair.output.tag,
            "Says of the pixels what the original does not say.",
        )
    return Origin.KEPT


def _marker(walk: Walk, rule: Rule, pair: Pair, level: Level) -> Origin:
    """Leave the marker to `markers`; in items it is kept as any other attribute."""
    if level.where is None:
        return Origin.KEPT
    return law.origin_of(walk, rule, pair, level.where)


def without_ours(element: Element, where: Where | None) -> Element:
    """Leave out what we ourselves wrote of the method: a patient may be called Profile or Clean."""
    if where is None and element.tag == METHOD:
        values = [value for value in element.value.split(b"\\") if not value.startswith(_OURS)]
        return element._replace(value=b"\\".join(values))
    if where is not None and element.tag == _CODE_MEANING:
        ours = element.value.strip(b" \0").decode("latin_1") in profile_codes().values()
        return element._replace(value=b"") if ours else element
    return element


def _pixel_description(walk: Walk, rule: Rule, pair: Pair, level: Level) -> Origin:
    if walk.transcoded and level.where is None:
        return Origin.KEPT
    return law.origin_of(walk, rule, pair, level.where)


def _timezone(walk: Walk, rule: Rule, pair: Pair, level: Level) -> Origin:
    """Judge the offset from UTC: a shift by whole days keeps it."""
    offset = _OFFSET.fullmatch(pair.after)
    if walk.patient.days and Action.C in rule.actions and results.is_kept(pair) and offset:
        return Origin.KEPT
    return law.origin_of(walk, rule, pair, level.where)


LAWS: dict[int, Callable[[Walk, Rule, Pair, Level], Origin]] = {
    PATIENT_NAME: _patient,
    PATIENT_ID: _patient,
    ACCESSION_NUMBER: _accession_number,
    STUDY_ID: _study_id,
    SPECIFIC_CHARACTER_SET: _character_set,
    PATIENT_AGE: _age,
    TIMEZONE: _timezone,
    BURNED_IN: _burned_in,
    RECOGNIZABLE: _burned_in,
    IDENTITY_REMOVED: _marker,
    METHOD: _marker,
    METHOD_CODES: _marker,
    LONGITUDINAL: _marker,
    **dict.fromkeys(_PIXEL_DESCRIPTION, _pixel_description),
}
#: Attributes that the output may have although the original has not.
_INSERTED = frozenset(
    {IDENTITY_REMOVED, METHOD, METHOD_CODES, LONGITUDINAL, SPECIFIC_CHARACTER_SET}
)


def origin_of_inserted(
    walk: Walk, element: Element, where: Where | None, after: tuple[str, ...]
) -> Origin:
    """Judge an attribute that the original does not have at this place."""
    tag = element.tag
    text = law.decoded(element, after)
    rule = walk.recipe.profile.public(tag, element.vr)
    if where is None and tag in _INSERTED:
        return Origin.KEPT
    if where is None and tag in (PATIENT_NAME, PATIENT_ID) and text == walk.patient.pseudonym:
        return Origin.PROVEN
    if rule.verb == "replace" and text == rule.value:
        return Origin.WRITTEN
    if walk.transcoded and where is None and tag >> 16 == 0x0028:  # noqa: PLR2004 -- image pixel
        return Origin.PROVEN
    if results.is_empty(element) and walk.type_of(where, tag) == "2":
        return Origin.PROVEN
    walk.report(Severity.INVALID, where, tag, "The original has no such attribute at this place.")
    return Origin.STRAY


def origin_by_site_rule(walk: Walk, rule: Rule, pair: Pair, level: Level) -> Origin:
    """Judge a value by what the site's own rule says."""
    match rule.verb:
        case "replace":
            return Origin.WRITTEN if pair.after == rule.value else Origin.STRAY
        case "hash":
            hashed = _hashed(walk, pair, creator_of(level.source, pair.source.tag))
            return Origin.PROVEN if pair.after == hashed else Origin.STRAY
        case "shift":
            empty = not pair.after and (not pair.before or results.is_unparsable(pair))
            lawful = empty or results.is_shifted(pair, walk.patient)
            return Origin.PROVEN if lawful else Origin.STRAY
        case "empty":
            return Origin.PROVEN if results.is_empty(pair.output) else Origin.STRAY
        case _:
            return law.origin_of(walk, rule, pair, level.where)


def _hashed(walk: Walk, pair: Pair, creator: str) -> str:
    tag = pair.source.tag
    attribute = f"{tag:08X}"
    if is_private(tag):
        attribute = f"{tag >> 16:04X},{creator},{tag & 0xFF:02X}"
    patient = walk.patient
    return "\\".join(
        pseudonyms.hashed_text(patient.keys, patient.identity, attribute, value)
        for value in pair.before.split("\\")
    )
