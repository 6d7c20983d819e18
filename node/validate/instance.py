"""One instance, proven or not: the original and the finished file, read again from disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from node.profile.actions import Option
from node.profile.recipe import Recipe
from node.validate import charset, pseudonyms, reader, special
from node.validate.elements import Item, Unreadable
from node.validate.findings import Finding, InstanceFacts, Severity, Verdict, gathered
from node.validate.lawbook import keeps_private
from node.validate.markers import check_markers
from node.validate.pixels import check_pixels, is_transcoded
from node.validate.raw import search_bytes, search_pixels
from node.validate.reader import Parsed
from node.validate.results import Patient
from node.validate.risk import check_pixel_risk
from node.validate.search import search_places
from node.validate.secrets import SPECIFIC_CHARACTER_SET, collect
from node.validate.structure import SOP_CLASS_UID, SOP_INSTANCE_UID, check_structure
from node.validate.walk import Level, Walk, walk_items

STUDY_UID, SERIES_UID, MODALITY = 0x0020000D, 0x0020000E, 0x00080060
REFERENCED_INSTANCE = 0x00081155


def validate(source: Path, output: Path, recipe: Recipe) -> Verdict:
    """Prove one de-identified file from disk.

    Parameters
    ----------
    source
        The original, in any transfer syntax of the standard.
    output
        What the engine wrote from it with the same recipe.

    Returns
    -------
    The verdict; what cannot be read is a finding, never a pass. Raises only OSError.
    """
    before, after = reader.open_file(source), reader.open_file(output)
    digest, size = hashlib.sha256(after).hexdigest(), len(after)
    try:
        original = reader.parse(before)
    except Unreadable as why:
        return Verdict((_unreadable("original", why),), digest, size, InstanceFacts())
    excluding = check_pixel_risk(original, recipe.profile.pixels)
    try:
        result = reader.parse(after)
    except Unreadable as why:
        return Verdict((*excluding, _unreadable("output", why)), digest, size, InstanceFacts())
    if any(finding.severity is Severity.EXCLUDE for finding in excluding):
        return Verdict(tuple(excluding), digest, size, _facts(result, 0))
    case = _open_case(original, recipe)
    findings = [*excluding, *_check(original, result, recipe, case)]
    findings += check_pixels(original, result, source, output)
    facts = replace(_facts(result, case.patient.days), witness=case.patient.witness)
    return Verdict(gathered(findings), digest, size, facts)


def _unreadable(which: str, why: Unreadable) -> Finding:
    return Finding(
        "reader", Severity.INVALID, which, f"The {which} cannot be accounted for: {why}."
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """Whose instance it is, by the original and the recipe."""

    patient: Patient
    issuer: str
    declared: tuple[str, ...]


def _open_case(original: Parsed, recipe: Recipe) -> _Case:
    dataset = original.dataset
    declared = dataset.value(SPECIFIC_CHARACTER_SET) or recipe.assume_charset.encode()
    terms = charset.terms(declared)
    patient_id = charset.decode(dataset.value(special.PATIENT_ID), terms)
    issuer = charset.decode(dataset.value(special.ISSUER), terms).strip(" \0")
    issuer = issuer or recipe.default_issuer
    identity = pseudonyms.identity(issuer, patient_id)
    keys = pseudonyms.subkeys(recipe.key, recipe.profile.domain)
    patient = Patient(
        keys, identity, special.pseudonym(recipe, patient_id, issuer), _days(recipe, keys, identity)
    )
    return _Case(patient, issuer, terms)


def _days(recipe: Recipe, keys: pseudonyms.Subkeys, identity: bytes) -> int:
    moves = Option.RETAIN_LONGITUDINAL_MODIFIED_DATES in recipe.profile.options or any(
        rule.verb == "shift"
        for rules in (recipe.profile.site_rules, recipe.profile.site_private_rules)
        for rule in rules.values()
    )
    return pseudonyms.shift_days(keys, identity) if moves and identity else 0


def _check(original: Parsed, result: Parsed, recipe: Recipe, case: _Case) -> Iterator[Finding]:
    if not case.patient.identity:
        yield Finding("law", Severity.HOLD, "(0010,0020)", "No Patient ID: nobody to stand for.")
    if not charset.is_known(case.declared):
        yield Finding(
            "law",
            Severity.HOLD,
            "(0008,0005)",
            "The original declares a character set that DICOM does not define.",
        )
    yield from check_structure(result)
    yield from check_markers(original.dataset, result.dataset, recipe.profile)
    secrets = collect(original.dataset, recipe.profile, recipe.assume_charset)
    walk = Walk(
        recipe=recipe,
        patient=case.patient,
        issuer=case.issuer,
        secrets=secrets,
        sop_class_uid=original.dataset.value(SOP_CLASS_UID).decode("latin_1").strip(" \0"),
        present=original.dataset.by_tag,
        kept=result.dataset.by_tag,
        big_endian=original.big_endian,
        transcoded=is_transcoded(original, result),
        keeps_private=keeps_private(recipe.profile),
    )
    after = charset.terms(result.dataset.value(SPECIFIC_CHARACTER_SET))
    walk_items(walk, Level(original.dataset, result.dataset, None, case.declared, after))
    yield from walk.findings
    yield from search_places(walk.places, secrets)
    yield from search_bytes(result, secrets, walk.places)
    yield from search_pixels(result, secrets)


def _facts(result: Parsed, days: int) -> InstanceFacts:
    dataset = result.dataset
    terms = charset.terms(dataset.value(SPECIFIC_CHARACTER_SET))

    def text(tag: int) -> str:
        return charset.decode(dataset.value(tag), terms).strip(" \0")

    return InstanceFacts(
        sop_class_uid=text(SOP_CLASS_UID), sop_instance_uid=text(SOP_INSTANCE_UID),
        study_instance_uid=text(STUDY_UID), series_instance_uid=text(SERIES_UID),
        patient_id=text(special.PATIENT_ID), patient_name=text(special.PATIENT_NAME),
        modality=text(MODALITY), transfer_syntax_uid=result.syntax,
        references=frozenset(_references(dataset)), shift_days=days,
    )  # fmt: skip


def _references(item: Item) -> Iterator[str]:
    for element in item:
        if element.tag == REFERENCED_INSTANCE:
            yield element.value.decode("latin_1").strip(" \0")
        for inner in element.items or ():
            yield from _references(inner)
