"""The answer key of an instance, built from PS3.15's tables and the options of a profile.

It asks of each attribute what its row asks: the column of an option that is on, else the basic one.
It knows nothing of how the engine does it, so it asks only what every lawful way gives: of a
compound action that the value is gone, of a content tree and of graphics that no identifier is left
in them (items may go, and with them their numbers), of an age over 89 nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from node.profile.actions import Option
from node.profile.iod import type_of
from node.profile.tables import (
    attribute,
    confidentiality_columns,
    confidentiality_row,
    keep_list,
    safe_private,
    uid_roles,
)
from node.profile.vocabulary import WORD, Standing, fold, standing
from tools.midi.checks import Action, Check, Place

_TEXT = {"LO", "LT", "SH", "ST", "UC", "UT"}
_NUMBER = {"DS", "FD", "FL", "IS", "SL", "SS", "UL", "US"}
_GONE = {"AE", "AS", "PN", "UR"}
_PATIENT_NAME, _PATIENT_ID, _PIXEL_DATA = 0x00100010, 0x00100020, 0x7FE00010
_FIRST_GROUP = 0x0008
_GRAPHICS = (0x50, 0x60, 0x70)
#: Sequences of content items: Acquisition Context, Specimen Preparation Step, Content, Waveform.
_CONTENT = {0x00400555, 0x00400612, 0x0040A730, 0x0040B020}
#: What the node says about its own work, and what hangs on it.
_MARKERS = {0x00080005, 0x00120062, 0x00120063, 0x00120064, 0x00280303}
#: HIPAA's identifiers (45 CFR 164.514 (b)(2)(i)) by what the keyword says, first match first.
_HIPAA = {
    "HIPAA-A": ("Name", "Physician", "Operator", "Person"),
    "HIPAA-B": ("Address", "Institution", "Country", "Region", "Location"),
    "HIPAA-D": ("Telephone",),
    "HIPAA-H": ("PatientID", "AccessionNumber", "StudyID", "Number", "AdmissionID"),
    "HIPAA-M": ("Serial", "Station", "DeviceID"),
}


def key_of(dataset: Dataset, options: Collection[Option]) -> list[Check]:
    """Build the checks of one original instance."""
    patient = str(dataset.get("PatientID", ""))
    names = [str(element.value) for element in dataset.iterall() if element.VR == "PN"]
    secrets = {fold(word) for text in (patient, *names) for word in WORD.findall(text)}
    builder = _Builder(dataset, frozenset(options), patient, secrets)
    checks = list(builder.item_checks(dataset, ()))
    if "PixelData" in dataset:
        pixels = dataset.PixelData.hex()
        checks.append(Check(Action.PIXELS_RETAINED, (_PIXEL_DATA,), pixels, "TCIA-P15-PIX-K"))
    return checks


class _Builder:
    """What the checks of one instance share."""

    def __init__(
        self, dataset: Dataset, options: frozenset[Option], patient: str, secrets: set[str]
    ) -> None:
        self.sop_class = str(dataset.SOPClassUID)
        self.present = {int(tag) for tag in dataset.keys()}  # noqa: SIM118 -- a Dataset iterates elements
        self.options = options
        self.patient = patient
        self.secrets = secrets

    def item_checks(self, item: Dataset, path: Place, gone: bool = False) -> Iterator[Check]:
        for element in item:
            tag = int(element.tag)
            if tag in _MARKERS or not element.value:
                continue
            here = (*path, tag)
            if element.tag.is_private:
                yield from self.private_checks(element, here)
            elif element.VR == "SQ":
                yield from self.sequence_checks(element, here, gone)
            elif not _CONTENT.isdisjoint(here) or tag >> 24 in _GRAPHICS:
                yield from self.identifier_checks(element, here)
            elif gone or tag >> 16 < _FIRST_GROUP:
                yield from self.gone_checks(element, here)
            else:
                yield from self.checks(element, here)

    def private_checks(self, element: DataElement, path: Place) -> Iterator[Check]:
        """Ask that text goes and that a safe number stays; blocks are kept where they were."""
        if element.tag.is_private_creator or isinstance(element.value, bytes):
            return
        tag, creator = int(element.tag), str(element.private_creator)
        safe = (tag >> 16, creator, tag & 0xFF) in safe_private()
        if safe and Option.RETAIN_SAFE_PRIVATE in self.options and element.VR in _NUMBER:
            yield self.check(Action.TEXT_RETAINED, path, _text(element), "TCIA-PTKB-K")
        elif not safe and element.VR in _TEXT | _GONE | {"CS", "DA", "DT"}:
            yield self.check(Action.TEXT_REMOVED, path, _text(element), "TCIA-PTKB-X")

    def sequence_checks(self, element: DataElement, path: Place, gone: bool) -> Iterator[Check]:
        """Ask of the items of a sequence that stays; all in one that goes is asked to be gone."""
        action = self.action_of(path[-1])
        gone = gone or action not in ("", "K", "C", "U")
        for number, inner in enumerate(element.value):
            yield from self.item_checks(inner, (*path, number), gone)

    def gone_checks(self, element: DataElement, path: Place) -> Iterator[Check]:
        value = _text(element)
        if element.VR == "UI" and not value.startswith("1.2.840.10008."):
            yield self.check(Action.UID_CHANGED, path, value, "HIPAA-R")
        elif element.VR in _TEXT | _GONE:
            yield self.check(Action.TEXT_REMOVED, path, value, _hipaa(path[-1]))

    def identifier_checks(self, element: DataElement, path: Place) -> Iterator[Check]:
        """Ask that none of the patient's own words is left."""
        for word in WORD.findall(_text(element)) if element.VR in _TEXT | _GONE else ():
            if fold(word) in self.secrets:
                yield self.check(Action.TEXT_REMOVED, path, word, "HIPAA-A")

    def action_of(self, tag: int) -> str:
        """Give the action code: K, C, U, or one that leaves nothing."""
        row = confidentiality_row(tag)
        if row is None:
            return ""
        cells = dict(zip(confidentiality_columns()[1:], row[1:], strict=True))
        on = {option: cells[option] for option in self.options if cells[option]}
        modified = Option.RETAIN_LONGITUDINAL_MODIFIED_DATES
        return on.get(modified) or next(iter(on.values()), row[0])

    def checks(self, element: DataElement, path: Place) -> Iterator[Check]:
        tag, value = int(element.tag), _text(element)
        if isinstance(element.value, bytes):
            return
        action = self.action_of(tag) or _default(tag, element.VR, self.options)
        if action != "X":
            yield from self.type_checks(path)
        if tag in (_PATIENT_NAME, _PATIENT_ID) and len(path) == 1:
            yield self.check(Action.PATID_CONSISTENT, path, self.patient, "DICOM-P15-BASIC-C")
            yield self.check(Action.TEXT_REMOVED, path, value, _hipaa(tag))
            return
        if element.VR == "UI":
            yield from self.uid_checks(tag, path, value, action)
        elif action == "K" and element.VR != "AS":
            yield from self.kept_checks(path, value)
        elif action == "C":
            yield from self.clean_checks(element.VR, path, value)
        elif action != "K" and element.VR in _TEXT | _GONE | {"CS", "DA", "DT"}:
            yield self.check(Action.TEXT_REMOVED, path, value, _hipaa(tag))

    def type_checks(self, path: Place) -> Iterator[Check]:
        kind = type_of(self.sop_class, path[::2], self.present)
        if kind == "1":
            yield self.check(Action.TEXT_NOTNULL, path, "", "DICOM-IOD-1")
        elif kind == "2":
            yield self.check(Action.TAG_RETAINED, path, "", "DICOM-IOD-2")

    def uid_checks(self, tag: int, path: Place, value: str, action: str) -> Iterator[Check]:
        registered = value.startswith("1.2.840.10008.")
        if action == "K" or registered or uid_roles().get(tag) == "definition":
            yield self.check(Action.TEXT_RETAINED, path, value, "TCIA-P15-KEEP")
            return
        yield self.check(Action.UID_CHANGED, path, value, "HIPAA-R")
        yield self.check(Action.UID_CONSISTENT, path, value, "DICOM-P15-BASIC-U")

    def kept_checks(self, path: Place, value: str) -> Iterator[Check]:
        """Ask that a value stays; where it shares a word with an identifier either will do."""
        if self.secrets.isdisjoint(fold(word) for word in WORD.findall(value)):
            yield self.check(Action.TEXT_RETAINED, path, value, "TCIA-P15-KEEP")

    def clean_checks(self, vr: str, path: Place, value: str) -> Iterator[Check]:
        if vr in ("DA", "DT"):
            yield self.check(Action.DATE_SHIFTED, path, value, "HIPAA-C")
        elif vr == "TM":
            yield self.check(Action.TEXT_RETAINED, path, value, "TCIA-P15-KEEP")
        for word in WORD.findall(value) if vr in _TEXT else ():
            if fold(word) in self.secrets:
                yield self.check(Action.TEXT_REMOVED, path, word, "HIPAA-A")
            elif standing(word) is Standing.SAFE:
                yield self.check(Action.TEXT_RETAINED, path, word, "TCIA-P15-CLEAN")

    def check(self, action: Action, path: Place, value: str, category: str) -> Check:
        return Check(action, path, value, category, self.patient)


def _default(tag: int, vr: str, options: frozenset[Option]) -> str:
    """Give what an attribute in no table asks for: numbers and codes stay, the rest goes."""
    if vr in ("DA", "DT", "TM"):
        return "C" if Option.RETAIN_LONGITUDINAL_MODIFIED_DATES in options else "X"
    if attribute(tag) and (vr in _NUMBER or vr == "CS" or tag in keep_list()):
        return "K"
    return "C" if vr in _TEXT and Option.CLEAN_DESCRIPTORS in options else "X"


def _hipaa(tag: int) -> str:
    known = attribute(tag)
    keyword = known.keyword if known else ""
    for category, parts in _HIPAA.items():
        if any(part in keyword for part in parts):
            return category
    return "DICOM-P15-BASIC-X"


def _text(element: DataElement) -> str:
    value = element.value
    if isinstance(value, MultiValue):
        return "\\".join(str(part) for part in value)
    return str(value).strip()
