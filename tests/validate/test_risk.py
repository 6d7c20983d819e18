"""The pixel risk gate: which pictures may show who is on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import FileDataset

from node.profile.pixel_rules import PIXEL_RULES, PixelAction
from node.validate import Severity, reader
from node.validate.risk import check_pixel_risk
from tests.factories import make_instance, write_instance

STORAGE = "1.2.840.10008.5.1.4.1.1."
HOLD_ALL = dict.fromkeys(PIXEL_RULES, PixelAction.HOLD)

#: Rule -> attributes of an instance to which it applies.
RISKS: dict[str, dict[str, object]] = {
    "burned-in-annotation": {"BurnedInAnnotation": "YES"},
    "burned-in-unknown": {"SOPClassUID": STORAGE + "6.1"},
    "secondary-capture": {"SOPClassUID": STORAGE + "7", "BurnedInAnnotation": "NO"},
    "conversion-type": {"ConversionType": "WSD"},
    "derived-secondary-rgb": {"ImageType": ["DERIVED", "SECONDARY"]},
    "screen-save": {"SeriesDescription": "Screen Save"},
    "dose-screen": {"SeriesDescription": "Dose Report"},
    "ultrasound": {"SOPClassUID": STORAGE + "3.1", "BurnedInAnnotation": "NO"},
    "endoscopy": {"SOPClassUID": STORAGE + "77.1.1", "BurnedInAnnotation": "NO"},
    "photograph": {"SOPClassUID": STORAGE + "77.1.4", "BurnedInAnnotation": "NO"},
    "video": {"SOPClassUID": STORAGE + "77.1.2.1", "BurnedInAnnotation": "NO"},
    "digitized-film": {"ConversionType": "DF"},
    "wsi-label": {"SOPClassUID": STORAGE + "77.1.6", "ImageType": ["ORIGINAL", "PRIMARY", "LABEL"]},
    "wsi-overview": {"SOPClassUID": STORAGE + "77.1.6",
                     "ImageType": ["ORIGINAL", "PRIMARY", "OVERVIEW"]},
    "encapsulated-document": {"SOPClassUID": STORAGE + "104.1"},
    "recognizable-face": {"BodyPartExamined": "HEAD"},
}  # fmt: skip


def risks(folder: Path, attributes: dict[str, object], actions: object = None) -> list[str]:
    """Give the rules that apply to an instance with these attributes."""
    dataset: FileDataset = make_instance()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    path = write_instance(folder / "instance.dcm", dataset)
    findings = check_pixel_risk(reader.parse(path.read_bytes()), actions or HOLD_ALL)
    return [finding.explanation.split(":")[0] for finding in findings]


def test_every_rule_of_the_profile_is_tried() -> None:
    """A rule without a situation here would be a rule that nobody has seen work."""
    assert RISKS.keys() == PIXEL_RULES.keys()


@pytest.mark.parametrize("rule", RISKS)
def test_a_risk_is_seen(tmp_path: Path, rule: str) -> None:
    """Each rule applies to its situation."""
    assert rule in risks(tmp_path, RISKS[rule])


def test_a_usual_slice_is_no_risk(tmp_path: Path) -> None:
    """An axial CT passes all rules."""
    assert risks(tmp_path, {}) == []


@pytest.mark.parametrize(
    "attributes",
    [
        {"PhotometricInterpretation": "RGB"}, {"PhotometricInterpretation": "PALETTE COLOR"},
        {"SOPClassUID": STORAGE + "4", "Modality": "MR", "PhotometricInterpretation": "YBR_FULL"},
    ],
)  # fmt: skip
def test_a_colour_picture_among_slices_is_a_risk(
    tmp_path: Path, attributes: dict[str, object]
) -> None:
    """Screen captures hide in CT and MR series."""
    assert "derived-secondary-rgb" in risks(tmp_path, attributes)


@pytest.mark.parametrize("value", ["", "MAYBE"])
def test_an_unclear_burned_in_annotation_is_unknown(tmp_path: Path, value: str) -> None:
    """Absent and unlawful are unknown, not NO."""
    attributes = {"SOPClassUID": STORAGE + "7", "BurnedInAnnotation": value}
    assert "burned-in-unknown" in risks(tmp_path, attributes)


def test_exclude_goes_before_hold(tmp_path: Path) -> None:
    """What stays behind need not be looked at."""
    actions = {**HOLD_ALL, "secondary-capture": PixelAction.EXCLUDE}
    dataset = make_instance(modality="OT")
    path = write_instance(tmp_path / "capture.dcm", dataset)
    findings = check_pixel_risk(reader.parse(path.read_bytes()), actions)
    assert {finding.severity for finding in findings} == {Severity.EXCLUDE}


def test_a_rule_that_passes_is_silent(tmp_path: Path) -> None:
    """The profile decides."""
    actions = dict.fromkeys(PIXEL_RULES, PixelAction.PASS)
    assert risks(tmp_path, RISKS["ultrasound"], actions) == []


def test_a_report_has_no_picture(tmp_path: Path) -> None:
    """Without pixels only an encapsulated document is a risk."""
    dataset = make_instance()
    del dataset.PixelData
    dataset.SeriesDescription = "Dose Report"
    path = write_instance(tmp_path / "report.dcm", dataset)
    assert check_pixel_risk(reader.parse(path.read_bytes()), HOLD_ALL) == []
