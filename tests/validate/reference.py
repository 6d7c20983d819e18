"""A small, slow de-identifier on pydicom: honest enough to pass the validator, easy to break.

The validator's tests stand on it so that they need no engine; broken engines are made of it too.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
)

from node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.profile.actions import Option
from node.profile.iod import type_of
from node.profile.recipe import METHOD_VERSION, Recipe
from node.profile.vocabulary import Standing, standing
from node.validate import pseudonyms

DUMMIES = {
    "DA": "19000101", "TM": "000000", "DT": "19000101000000", "AS": "000D", "DS": "0", "IS": "0",
    "UR": "urn:removed", "CS": "REMOVED", "AE": "REMOVED",
}  # fmt: skip
BINARY = {"OB", "OW", "UN", "US", "SS", "UL", "SL", "FL", "FD", "AT", "OF", "OD", "OL", "OV"}


class Engine:
    """One instance on its way; a mutant overrides what it breaks."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.profile = recipe.profile
        self.keys = pseudonyms.subkeys(recipe.key, self.profile.domain)

    def run(self, source: Path, target: Path) -> Path:
        """De-identify a file."""
        dataset = dcmread(source)
        self.see(dataset)
        self.treat(dataset, ())
        self.identify(dataset)
        self.mark(dataset)
        self.write(dataset, target)
        return target

    def see(self, dataset: Dataset) -> None:
        """Take from the original what the rest needs."""
        issuer = str(dataset.get("IssuerOfPatientID", "") or self.recipe.default_issuer)
        self.identity = pseudonyms.identity(issuer, str(dataset.get("PatientID", "")))
        self.days = pseudonyms.shift_days(self.keys, self.identity) if self.identity else 0
        self.sop_class = str(dataset.SOPClassUID)
        self.present = {int(element.tag) for element in dataset}
        self.names = set(re.findall(r"\w+", f"{dataset.get('PatientName', '')}".lower()))
        self.syntax = dataset.file_meta.TransferSyntaxUID
        self.codes = list(dataset.get("DeidentificationMethodCodeSequence", []))
        methods = dataset.get("DeidentificationMethod", [])
        self.methods = [methods] if isinstance(methods, str) else list(methods)

    def treat(self, dataset: Dataset, path: tuple[int, ...]) -> None:
        """Apply each attribute's rule, at every level."""
        for element in list(dataset):
            if not element.tag.is_private_creator:
                self.treat_element(dataset, element, path)
        for element in list(dataset):
            if element.tag.is_private_creator:
                first = element.tag.group << 16 | element.tag.element << 8
                if not any(first <= tag <= first + 0xFF for tag in dataset.keys()):  # noqa: SIM118
                    del dataset[element.tag]

    def rule(self, element: DataElement) -> object:
        """Ask the profile."""
        tag = int(element.tag)
        if element.tag.is_private:
            creator = element.private_creator
            return self.profile.private(tag >> 16, creator or "", tag & 0xFF, element.VR)
        return self.profile.public(tag, element.VR)

    def treat_element(self, dataset: Dataset, element: DataElement, path: tuple[int, ...]) -> None:
        """Do to one element what its rule says."""
        if element.tag.is_private and not element.private_creator:
            del dataset[element.tag]
            return
        rule = self.rule(element)
        code = self.resolve(rule, (*path, int(element.tag)))
        if rule.verb == "replace":
            element.value = rule.value
        elif code == "X":
            del dataset[element.tag]
        elif element.VR == "SQ" and code in "KCU":
            for item in element.value:
                self.treat(item, (*path, int(element.tag)))
        elif code == "Z":
            element.value = Sequence() if element.VR == "SQ" else self.empty(element)
        elif code == "D":
            self.dummy(element)
        elif code == "U":
            self.remap(element)
        elif code == "C":
            self.clean(dataset, element)

    def empty(self, element: DataElement) -> object:
        """Give the empty value of a VR."""
        return b"" if element.VR in BINARY else ""

    def resolve(self, rule: object, path: tuple[int, ...]) -> str:
        """Choose among the actions offered, by the attribute's Type."""
        offered = "".join(rule.actions)
        kind = type_of(self.sop_class, path, self.present)
        if len(offered) == 1:
            return "D" if offered == "Z" and kind == "1" else offered
        if "U" in offered:
            return "U" if kind == "1" else "X"
        for wanted in {"1": "D", "2": "ZD", "3": "XZD"}[kind]:
            if wanted in offered:
                return wanted
        return "D"

    def dummy(self, element: DataElement) -> None:
        """Replace a value by one that is the same for everyone."""
        if element.VR == "SQ":
            element.value = Sequence()
        elif element.VR == "UI":
            self.remap(element)
        else:
            element.value = b"\0\0" if element.VR in BINARY else DUMMIES.get(element.VR, "Removed")

    def new_uid(self, uid: str) -> str:
        """Give a UID's keyed image."""
        return pseudonyms.new_uid(self.keys.uid, str(uid).encode()).decode()

    def remap(self, element: DataElement) -> None:
        """Replace UIDs by their images."""
        if element.VM > 1:
            element.value = [self.new_uid(uid) for uid in element.value]
        elif element.value:
            element.value = self.new_uid(element.value)

    def shift(self, vr: str, value: str) -> str:
        """Move a date."""
        move = pseudonyms.shifted_date_time if vr == "DT" else pseudonyms.shifted_date
        return move(str(value), self.days) or ""

    def clean(self, dataset: Dataset, element: DataElement) -> None:
        """C: shift dates, remap UIDs, keep safe words."""
        if element.VR == "UI":
            self.remap(element)
        elif element.VR in ("DA", "DT"):
            if Option.RETAIN_LONGITUDINAL_MODIFIED_DATES in self.profile.options:
                values = element.value if element.VM > 1 else [element.value]
                element.value = [self.shift(element.VR, value) for value in values]
            else:
                del dataset[element.tag]
        elif element.VR not in {"CS", "DS", "IS", "TM", *BINARY}:
            words = re.findall(r"\d+(?:[.,]\d+)+[^\W\d_]*|[^\W_]+", str(element.value))
            element.value = " ".join(
                word for word in words
                if standing(word) is not Standing.UNKNOWN and word.lower() not in self.names
            )  # fmt: skip

    def identify(self, dataset: Dataset) -> None:
        """Write the pseudonyms."""
        code = self.profile.prefix + pseudonyms.patient_code(self.keys, self.identity)
        dataset.PatientID = dataset.PatientName = code
        original = self.original
        for keyword, make in (
            ("AccessionNumber", pseudonyms.accession_number), ("StudyID", pseudonyms.study_id),
        ):  # fmt: skip
            if keyword in original:
                value = make(self.keys, self.identity, str(original[keyword].value or ""))
                setattr(dataset, keyword, value)

    def mark(self, dataset: Dataset) -> None:
        """Say what was done."""
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = [
            *self.methods,
            f"deid-node {METHOD_VERSION}, profile {self.profile.name}",
        ]
        items = list(self.codes)
        for code in self.profile.code_items():
            item = Dataset()
            item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme
            item.CodeMeaning = code.meaning
            items.append(item)
        dataset.DeidentificationMethodCodeSequence = items
        dataset.LongitudinalTemporalInformationModified = self.profile.longitudinal

    def write(self, dataset: Dataset, target: Path) -> None:
        """Write a fresh file."""
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        normal = self.syntax in (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian)
        meta.TransferSyntaxUID = ExplicitVRLittleEndian if normal else self.syntax
        meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
        meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
        output = Dataset(dataset)
        output.file_meta = meta
        output.preamble = bytes(128)
        output.save_as(target, enforce_file_format=True)


def deidentify(source: Path, target: Path, recipe: Recipe, engine: type[Engine] = Engine) -> Path:
    """De-identify a file with the reference engine or a broken one."""
    instance = engine(recipe)
    instance.original = dcmread(source, stop_before_pixels=True)
    return instance.run(source, target)
