"""The pixel risk gate: which pictures may show who is on them. It reads the original.

Rules and their names are `node.profile.pixel_rules`; the profile says per rule what is done. What
is excluded need not be looked at, so `exclude` goes before `hold`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from node.profile.pixel_rules import PIXEL_RULES, PixelAction
from node.validate.elements import BULK
from node.validate.findings import Finding, Severity
from node.validate.reader import Parsed
from node.validate.video import is_video

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_SECONDARY_CAPTURE = ("7", "7.1", "7.2", "7.3", "7.4")
_ULTRASOUND = ("3", "3.1", "6", "6.1", "6.2")
_CROSS_SECTIONAL = ("2", "2.1", "2.2", "4", "4.1", "4.3", "4.4", "20", "128", "128.1", "130")
_ENDOSCOPY = ("77.1.1", "77.1.1.1")
_PHOTOGRAPHS = (
    "77.1",
    "77.2",
    "77.1.4",
    "77.1.4.1",
    "77.1.5.1",
    "77.1.5.2",
    "77.1.7",
    "77.1.2",
    "77.1.2.1",
    "77.1.3",
)
_VIDEO = ("77.1.1.1", "77.1.2.1", "77.1.4.1")
_HARDCOPY = ("1.2.840.10008.5.1.1.29", "1.2.840.10008.5.1.1.30")
_DOCUMENTS = _STORAGE + "104."
_SLIDE = _STORAGE + "77.1.6"

_MODALITY, _IMAGE_TYPE, _CONVERSION, _BURNED_IN = 0x00080060, 0x00080008, 0x00080064, 0x00280301
_SOP_CLASS, _PHOTOMETRIC, _BODY_PART = 0x00080016, 0x00280004, 0x00180015
_DESCRIPTIONS = (0x0008103E, 0x00181030, 0x00081030, 0x00204000, 0x00082111)
_ASKED = (
    _SOP_CLASS, _MODALITY, _IMAGE_TYPE, _CONVERSION, _BURNED_IN, _PHOTOMETRIC, _BODY_PART,
    *_DESCRIPTIONS,
)  # fmt: skip
_SCREEN = re.compile(r"screen[ _-]?(save|shot|capture|grab)|\bssave\b|snap[ _-]?shot")
_DOSE = re.compile(
    r"dose[ _-]*(report|info|record|summary|page|screen|sheet|sr)|\bdose\b|patient protocol"
    r"|exam(ination)? protocol|exposure (report|record)"
)
_FACE = re.compile(r"\b(head|brain|face|facial|skull|neck|sinus|orbit|cranium|schadel|kopf|tete)")
_FACE_MODALITIES = frozenset({"CT", "MR", "PT", "NM"})


class _Facts:
    """What the rules ask of an original."""

    def __init__(self, syntax: str, values: tuple[bytes, ...]) -> None:
        texts = {
            tag: value.decode("latin_1").strip(" \0")
            for tag, value in zip(_ASKED, values, strict=True)
        }
        self.syntax = syntax
        self.sop_class = texts[_SOP_CLASS]
        self.modality = texts[_MODALITY]
        self.image_type = texts[_IMAGE_TYPE].upper().split("\\")
        self.conversion = texts[_CONVERSION].upper()
        self.burned_in = texts[_BURNED_IN].upper()
        self.photometric = texts[_PHOTOMETRIC].upper()
        self.described = " ".join(texts[tag].lower() for tag in (*_DESCRIPTIONS, _IMAGE_TYPE))
        self.body_part = texts[_BODY_PART].lower()

    def is_class(self, suffixes: tuple[str, ...]) -> bool:
        return self.sop_class.startswith(_STORAGE) and self.sop_class[len(_STORAGE) :] in suffixes


def _burned_in_unknown(facts: _Facts) -> bool:
    often = (*_SECONDARY_CAPTURE, *_ULTRASOUND, *_PHOTOGRAPHS, *_ENDOSCOPY)
    return facts.is_class(often) and facts.burned_in not in ("YES", "NO")


def _conversion_type(facts: _Facts) -> bool:
    return bool(facts.conversion) and not facts.is_class(_SECONDARY_CAPTURE)


def _derived_secondary_rgb(facts: _Facts) -> bool:
    colour = facts.photometric.startswith(("RGB", "YBR", "PALETTE"))
    derived = facts.image_type[:2] == ["DERIVED", "SECONDARY"]
    return facts.is_class(_CROSS_SECTIONAL) and (colour or derived)


def _photograph(facts: _Facts) -> bool:
    return facts.is_class(_PHOTOGRAPHS) or facts.modality in ("XC", "GM", "DMS")


def _endoscopy(facts: _Facts) -> bool:
    return facts.is_class(_ENDOSCOPY) or facts.modality == "ES"


def _video(facts: _Facts) -> bool:
    return facts.is_class(_VIDEO) or is_video(facts.syntax)


def _slide(facts: _Facts, flavor: str) -> bool:
    return facts.sop_class == _SLIDE and flavor in facts.image_type


def _face(facts: _Facts) -> bool:
    looked_at = f"{facts.body_part} {facts.described}"
    return facts.modality in _FACE_MODALITIES and bool(_FACE.search(looked_at))


#: By rule of PIXEL_RULES: does it apply?
_APPLIES: Mapping[str, Callable[[_Facts], bool]] = {
    "burned-in-annotation": lambda facts: facts.burned_in == "YES",
    "burned-in-unknown": _burned_in_unknown,
    "secondary-capture": lambda facts: facts.is_class(_SECONDARY_CAPTURE),
    "conversion-type": _conversion_type,
    "derived-secondary-rgb": _derived_secondary_rgb,
    "screen-save": lambda facts: bool(_SCREEN.search(facts.described)),
    "dose-screen": lambda facts: bool(_DOSE.search(facts.described)),
    "ultrasound": lambda facts: facts.is_class(_ULTRASOUND) or facts.modality == "US",
    "endoscopy": _endoscopy,
    "photograph": _photograph,
    "video": _video,
    "digitized-film": lambda facts: facts.conversion == "DF" or facts.sop_class in _HARDCOPY,
    "wsi-label": lambda facts: _slide(facts, "LABEL"),
    "wsi-overview": lambda facts: _slide(facts, "OVERVIEW"),
    "encapsulated-document": lambda facts: facts.sop_class.startswith(_DOCUMENTS),
    "recognizable-face": _face,
}
assert _APPLIES.keys() == PIXEL_RULES.keys()  # noqa: S101 -- a rule nobody judges must not pass
_WITHOUT_PIXELS = frozenset({"encapsulated-document"})


def check_pixel_risk(source: Parsed, actions: Mapping[str, PixelAction]) -> list[Finding]:
    """Judge an original by every rule.

    Parameters
    ----------
    actions
        The profile's `pixels`: each rule with what is done.

    Returns
    -------
    EXCLUDE findings alone if any rule excludes, else the HOLD findings.
    """
    dataset = source.dataset
    has_pixels = any(tag in dataset.by_tag for tag in BULK)
    applying = _applying(source.syntax, tuple(dataset.value(tag) for tag in _ASKED))
    findings = [
        Finding(
            "pixel-risk", _SEVERITY[actions[name]], "pixels", f"{name}: {PIXEL_RULES[name][1]}."
        )
        for name in applying
        if actions[name] is not PixelAction.PASS and (has_pixels or name in _WITHOUT_PIXELS)
    ]
    excluding = [finding for finding in findings if finding.severity is Severity.EXCLUDE]
    return excluding or findings


@lru_cache(1 << 10)
def _applying(syntax: str, values: tuple[bytes, ...]) -> tuple[str, ...]:
    """Give the rules that apply to an original with these values of the attributes asked."""
    facts = _Facts(syntax, values)
    return tuple(name for name, applies in _APPLIES.items() if applies(facts))


_SEVERITY = {PixelAction.HOLD: Severity.HOLD, PixelAction.EXCLUDE: Severity.EXCLUDE}
