"""De-identify one instance: read where its elements lie, decide about each, write a fresh file.

The output is a pure function of the file's bytes and the recipe. It is built from what the profile
keeps or writes; nothing gets into it because nobody thought of it.
"""

from __future__ import annotations

import re
from pathlib import Path

from node.deid import markers, pixeldata, pseudonyms, reader
from node.deid.charset import decode, decode_leniently, encode, encoding_of
from node.deid.decision import Rulebook
from node.deid.dummies import encoded
from node.deid.element import tag_bytes
from node.deid.identifiers import Identifiers, identifiers
from node.deid.meta import write_meta
from node.deid.outcome import Deidentified, Held, NotAccepted, Quarantined
from node.deid.plan import Plan, plan_for
from node.deid.reader import Instance
from node.deid.rebuild import item_bytes, items_of
from node.deid.settled import Settled, settled
from node.deid.toplevel import rewrite
from node.deid.treatment import Treatment, pseudonym_of
from node.deid.writer import Piece, write_file
from node.profile.actions import Option
from node.profile.recipe import Recipe

_CHARACTER_SET, _SOP_CLASS, _SOP_INSTANCE, _MODALITY = (
    0x00080005,
    0x00080016,
    0x00080018,
    0x00080060,
)
_PATIENT_ID, _ISSUER, _AGE = 0x00100020, 0x00100021, 0x00101010
_STUDY, _SERIES = 0x0020000D, 0x0020000E
_BIRTH_DATE, _STUDY_DATE = 0x00100030, 0x00080020
_EXTENDED = (pixeldata.OFFSETS, pixeldata.OFFSET_LENGTHS)
_UID = re.compile(rb"[0-9.]{1,64}")
_OLDEST = 89


def deidentify(source: Path, target: Path, recipe: Recipe) -> Deidentified:
    """De-identify an instance's file into a new file.

    Raises
    ------
    Quarantined
        The instance is not understood or not accepted; nothing is written.
    Held
        There is no Patient ID, or no row for it in the profile's lookup; nothing is written.
    FileExistsError
        The target is there already.
    """
    with reader.opened(source) as instance:
        profile = settled(recipe.profile)
        treatment = begin(instance, recipe, profile)
        plan = plan_of(instance, profile, treatment.sop_class_uid, wary=False)
        elements, pixels = dataset_pieces(instance, plan, treatment, profile)
        if repeats_identifiers(elements, treatment):
            plan = plan_of(instance, profile, treatment.sop_class_uid, wary=True)
            elements, pixels = dataset_pieces(instance, plan, treatment, profile)
        new = {tag: _new_uid(instance, treatment, tag) for tag in (_SOP_INSTANCE, _STUDY, _SERIES)}
        meta = write_meta(
            treatment.sop_class_uid.encode(), new[_SOP_INSTANCE], instance.transfer_syntax_uid
        )
        size = write_file(target, [meta, *elements, *pixels], instance.source)
    return Deidentified(
        sop_class_uid=treatment.sop_class_uid,
        sop_instance_uid=new[_SOP_INSTANCE].decode(),
        study_instance_uid=new[_STUDY].decode(),
        series_instance_uid=new[_SERIES].decode(),
        patient_id=treatment.pseudonym.decode(),
        transfer_syntax_uid=instance.transfer_syntax_uid,
        bytes=size,
    )


def begin(instance: Instance, recipe: Recipe, profile: Settled) -> Treatment:
    """Find out who the patient is and what the instance is, or stop here."""
    sop_class_uid = instance.value(_SOP_CLASS).rstrip(b"\0 ").decode("latin-1")
    for tag in (_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES):
        if not _UID.fullmatch(instance.value(tag).rstrip(b"\0 ")):
            raise Quarantined("it lacks a SOP Class, SOP Instance, Study or Series Instance UID")
    if not profile.profile.accepts_sop_class(sop_class_uid):
        raise NotAccepted("its SOP class is not one that the profile accepts")
    modality = instance.value(_MODALITY).strip(b"\0 ").decode("latin-1")
    if not profile.profile.accepts_modality(modality):
        raise NotAccepted("its modality is not one that the profile accepts")
    encoding = encoding_of(instance.value(_CHARACTER_SET), recipe.assume_charset)
    patient_id = decode(instance.value(_PATIENT_ID), encoding)
    if not patient_id.strip(" \0"):
        raise Held("an instance has no Patient ID, so nobody can tell whose it is")
    issuer = decode(instance.value(_ISSUER), encoding)
    issuer = issuer if issuer.strip(" \0") else recipe.default_issuer
    subkeys = pseudonyms.derive_subkeys(recipe.key, profile.profile.domain)
    identity = pseudonyms.identity_of(issuer, patient_id)
    return Treatment(
        profile=profile.profile,
        subkeys=subkeys,
        identity=identity,
        issuer=issuer,
        pseudonym=pseudonym_of(profile.profile, subkeys, issuer, patient_id),
        days=pseudonyms.shift_days(subkeys, identity),
        encoding=encoding,
        assumed=recipe.assume_charset,
        implicit=instance.implicit,
        source=instance.source,
        present=instance.found,
        sop_class_uid=sop_class_uid,
        over_89=_is_over_89(instance),
        identifiers=_identifiers(instance, profile, encoding),
    )


def plan_of(instance: Instance, profile: Settled, sop_class_uid: str, *, wary: bool) -> Plan:
    """Give the plan for instances of this class and encoding."""
    return plan_for(
        Rulebook(profile.digest, sop_class_uid, instance.implicit, wary, profile.profile)
    )


def dataset_pieces(
    instance: Instance, plan: Plan, treatment: Treatment, profile: Settled
) -> tuple[list[Piece], list[Piece]]:
    """Give the new data set: what the plan leaves with our own elements, and the pixel data."""
    pixels = pixeldata.pixels_of(instance)
    ours = _our_elements(instance, plan, treatment, profile)
    if pixels is not None and not pixels.offsets_hold:
        ours += [(tag, b"") for tag in _EXTENDED if tag in instance.found]
    pieces = rewrite(instance, plan, treatment, sorted(ours))
    return pieces, [] if pixels is None else pixels.pieces


def repeats_identifiers(elements: list[Piece], treatment: Treatment) -> bool:
    """Tell whether any of the instance's identifiers stands anywhere in what we are to write."""
    known = treatment.identifiers
    if known.stand_in([piece for piece in elements if isinstance(piece, bytes)]):
        return True
    return any(
        known.stand_in([chunk])
        for piece in elements
        if isinstance(piece, tuple)
        for chunk in treatment.source.chunks(*piece, overlap=known.longest)
    )


def _our_elements(
    instance: Instance, plan: Plan, treatment: Treatment, profile: Settled
) -> list[tuple[int, bytes]]:
    """Give what we write ourselves: markers, a site's insertions, the assumed character set."""
    methods, codes = _earlier_marks(instance, plan, treatment)
    ours = markers.markers(profile.marks[treatment.implicit], methods, codes)
    texts = [(tag, vr, text) for tag, vr, text in profile.inserts if tag not in instance.found]
    if treatment.assumed and not instance.value(_CHARACTER_SET).strip(b" \0\\"):
        texts.append((_CHARACTER_SET, "CS", treatment.assumed))
    return ours + [
        (
            tag,
            encoded(
                tag_bytes(tag), vr, encode(text, treatment.encoding), implicit=treatment.implicit
            ),
        )
        for tag, vr, text in texts
    ]


def _earlier_marks(
    instance: Instance, plan: Plan, treatment: Treatment
) -> tuple[bytes, list[bytes]]:
    """Give the methods and the code items by which the instance was de-identified before."""
    methods = b"\\".join(
        part
        for part in instance.value(markers.METHOD).split(b"\\")
        if not treatment.identifiers.occur_in(decode_leniently(part, treatment.encoding))
    )
    if markers.METHOD_CODES not in instance.found:
        return methods, []
    buffer, items = items_of(treatment, plan, *instance.whole(markers.METHOD_CODES))
    child = plan.child(markers.METHOD_CODES)
    return methods, [item_bytes(treatment, child, buffer, item) for item in items]


def _identifiers(instance: Instance, profile: Settled, encoding: str) -> Identifiers:
    """Gather what no text that stays may repeat."""
    tags = sorted(profile.identifying & instance.found.keys())
    found = identifiers(tuple([(tag, instance.value(tag)) for tag in tags]), encoding)
    if Option.RETAIN_UIDS in profile.profile.options:
        return found
    return found.and_uid(instance.value(_SOP_INSTANCE).rstrip(b"\0 "))


def _new_uid(instance: Instance, treatment: Treatment, tag: int) -> bytes:
    """Give the UID that stands in the output for a top-level one."""
    uid = instance.value(tag).rstrip(b"\0 ")
    if Option.RETAIN_UIDS not in treatment.profile.options:
        return pseudonyms.remap_uid(treatment.subkeys, uid)
    return uid


def _is_over_89(instance: Instance) -> bool:
    age = instance.value(_AGE).strip(b" \0")
    if age[3:] == b"Y" and age[:3].isdigit():
        return int(age[:3]) > _OLDEST
    born, studied = (instance.value(tag)[:4] for tag in (_BIRTH_DATE, _STUDY_DATE))
    return born.isdigit() and studied.isdigit() and int(studied) - int(born) > _OLDEST
