"""One instance, proven or not: the original and the finished file, read again from disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

from node.profile.actions import Option
from node.profile.recipe import Recipe
from node.validate import charset, pseudonyms, raw, reader, special
from node.validate.digest import digests
from node.validate.elements import Item, Unreadable
from node.validate.file import File, opened
from node.validate.findings import Finding, InstanceFacts, Severity, Verdict, gathered
from node.validate.lawbook import keeps_private
from node.validate.markers import check_markers
from node.validate.memory import Memory, grounds_of, learn
from node.validate.native import NativePixels
from node.validate.pixels import check_pixels, is_transcoded, native_pixels
from node.validate.reader import Parsed
from node.validate.results import Patient
from node.validate.risk import check_pixel_risk
from node.validate.search import search_place, vendors_of
from node.validate.secrets import SPECIFIC_CHARACTER_SET, Secrets, collect
from node.validate.structure import SOP_CLASS_UID, SOP_INSTANCE_UID, check_structure
from node.validate.walk import Level, Walk, walk_dataset

STUDY_UID, SERIES_UID, MODALITY = 0x0020000D, 0x0020000E, 0x00080060
REFERENCED_INSTANCE = 0x00081155
_GROUP_LENGTH, _AFTER_GROUP_LENGTH = 0x00020000, 144  # of File Meta; an offset
_MEMORY = Memory()


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
    with opened(source) as before, opened(output) as after:
        original: Parsed | Unreadable
        try:
            original = reader.parse(before)
        except Unreadable as why:
            original = why
        findings, facts, pixels = _prove(original, after, recipe, (source, output))
        sha256, source_digest = digests(after, before, _begin(original), pixels)
        if pixels is not None:
            findings += pixels.findings()
        return Verdict(gathered(findings), sha256, after.size, facts, source_digest)


def _begin(original: Parsed | Unreadable) -> int | None:
    """Say where the data set begins, if that is where File Meta says that it ends.

    A data set may begin with what looks like more of it, and the digest is of all that was sent.
    """
    if isinstance(original, Unreadable):
        return None
    length = int.from_bytes(original.meta.value(_GROUP_LENGTH), "little")
    return original.begin if original.begin == _AFTER_GROUP_LENGTH + length else None


def _prove(
    original: Parsed | Unreadable, after: File, recipe: Recipe, paths: tuple[Path, Path]
) -> tuple[list[Finding], InstanceFacts, NativePixels | None]:
    """Judge everything but native pixel data, which is left to be seen while it is hashed."""
    if isinstance(original, Unreadable):
        return [_unreadable("original", original)], InstanceFacts(), None
    findings = check_pixel_risk(original, recipe.profile.pixels)
    try:
        result = reader.parse(after)
    except Unreadable as why:
        return [*findings, _unreadable("output", why)], InstanceFacts(), None
    if any(finding.severity is Severity.EXCLUDE for finding in findings):
        return findings, _facts(result), None
    case = _open_case(original, recipe)
    findings += _check(original, result, recipe, case)
    findings += check_pixels(original, result, *paths)
    return findings, _facts(result, case.patient), native_pixels(original, result)


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
    yield from _check_header(original, result, recipe, case, secrets)
    yield from raw.search_pixels(result, secrets)


def _check_header(
    original: Parsed, result: Parsed, recipe: Recipe, case: _Case, secrets: Secrets
) -> Iterator[Finding]:
    """Judge every attribute by its rule and search it, but for what was proven before."""
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
    charsets = (case.declared, charset.terms(result.dataset.value(SPECIFIC_CHARACTER_SET)))
    hits = raw.hits(result, secrets)
    grounds = grounds_of(original, result, case.patient, case.issuer, charsets, secrets)
    proven = set() if hits else _MEMORY.of(recipe, grounds)
    steps = walk_dataset(walk, Level(original.dataset, result.dataset, None, *charsets), proven)
    yield from walk.findings
    vendors = cache(lambda: vendors_of(result.dataset))
    searched = [list(search_place(place, secrets, vendors)) for place in walk.places]
    yield from chain.from_iterable(searched)
    yield from raw.judge_hits(result, hits, secrets, walk.places)
    if not hits:
        learn(proven, steps, walk.places, {at for at, found in enumerate(searched) if found})


def _facts(result: Parsed, patient: Patient | None = None) -> InstanceFacts:
    dataset = result.dataset
    terms = charset.terms(dataset.value(SPECIFIC_CHARACTER_SET))

    def text(tag: int) -> str:
        return charset.decode(dataset.value(tag), terms).strip(" \0")

    references: set[str] = set()
    _add_references(dataset, references)
    return InstanceFacts(
        sop_class_uid=text(SOP_CLASS_UID), sop_instance_uid=text(SOP_INSTANCE_UID),
        study_instance_uid=text(STUDY_UID), series_instance_uid=text(SERIES_UID),
        patient_id=text(special.PATIENT_ID), patient_name=text(special.PATIENT_NAME),
        modality=text(MODALITY), transfer_syntax_uid=result.syntax,
        references=frozenset(references), shift_days=patient.days if patient else 0,
        witness=patient.witness if patient else "",
    )  # fmt: skip


def _add_references(item: Item, references: set[str]) -> None:
    for element in item:
        if element.items is not None:
            for inner in element.items:
                _add_references(inner, references)
        elif element.tag == REFERENCED_INSTANCE:
            references.add(element.value.decode("latin_1").strip(" \0"))
