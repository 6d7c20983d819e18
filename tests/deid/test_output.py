"""What the output says of itself, and what a file may not bring along."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from node import IMPLEMENTATION_CLASS_UID
from node.deid import dummies, preview
from node.deid.element import LONG_VRS, SHORT_VRS
from node.profile.actions import Option
from node.profile.recipe import METHOD_VERSION
from tests.deid import kit
from tests.factories import identifiers, make_instance, write_instance


def test_preamble_and_meta_header_are_our_own(tmp_path: Path) -> None:
    """PS3.15 E.1.1: nothing of those who had the instance before; 128 zero bytes in front."""
    dataset = make_instance()
    dataset.preamble = b"Quillfeather".ljust(128)
    dataset.file_meta.SourceApplicationEntityTitle = "GRIMS_AE1"
    dataset.file_meta.SendingApplicationEntityTitle = "GRIMS_AE2"
    dataset.file_meta.PrivateInformationCreatorUID = "1.2.3"
    dataset.file_meta.PrivateInformation = b"Zebedee1"
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert output.preamble == bytes(128)
    assert {element.tag.element for element in output.file_meta} == {0, 1, 2, 3, 0x10, 0x12, 0x13}
    assert output.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert output.file_meta.FileMetaInformationVersion == b"\x00\x01"


@pytest.mark.parametrize("implicit", [False, True])
def test_the_output_says_how_it_was_made(implicit: bool, tmp_path: Path) -> None:
    """(0012,0062), our method behind earlier ones, CID 7050's codes, and (0028,0303)."""
    dataset = make_instance()
    if implicit:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.PatientIdentityRemoved = "NO"
    dataset.DeidentificationMethod = ["earlier tool", "by hand, of Quillfeather1"]
    earlier = Dataset()
    earlier.CodeValue, earlier.CodingSchemeDesignator, earlier.CodeMeaning = "7", "99A", "Earlier"
    dataset.DeidentificationMethodCodeSequence = [earlier]
    dataset.LongitudinalTemporalInformationModified = "UNMODIFIED"
    how = kit.recipe(tmp_path, kit.MODIFIED, "clean-descriptors")
    output = kit.outcome(tmp_path, dataset, how)
    assert output.PatientIdentityRemoved == "YES"
    assert output.DeidentificationMethod == [
        "earlier tool", f"deid-node {METHOD_VERSION}, profile profile",
    ]  # fmt: skip
    codes = [item.CodeValue for item in output.DeidentificationMethodCodeSequence]
    assert codes == ["7", "113100", "113105", "113107"]
    assert output.LongitudinalTemporalInformationModified == "MODIFIED"


@pytest.mark.parametrize(
    ("options", "said"),
    [((), "REMOVED"), ((kit.MODIFIED,), "MODIFIED"),
     ((Option.RETAIN_LONGITUDINAL_FULL_DATES,), "UNMODIFIED")],
)  # fmt: skip
def test_0028_0303_follows_the_options(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """PS3.15 E.2 and E.3.6."""
    output = kit.outcome(tmp_path, make_instance(), kit.recipe(tmp_path, *options))
    assert output.LongitudinalTemporalInformationModified == said
    assert (output.get("StudyDate") == "20200701") == (said == "UNMODIFIED")


def test_burned_in_annotation_is_not_denied_by_us(tmp_path: Path) -> None:
    """(0028,0301) says what it said: we do not clean pixels, so we may not say NO."""
    dataset = make_instance()
    dataset.BurnedInAnnotation = "YES"
    dataset.RecognizableVisualFeatures = "YES"
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert output.BurnedInAnnotation == output.RecognizableVisualFeatures == "YES"
    assert "BurnedInAnnotation" not in kit.outcome(tmp_path, make_instance(), kit.recipe(tmp_path))


def test_group_lengths_command_and_directory_groups_and_padding_go(tmp_path: Path) -> None:
    """PS3.15 E.1.1: what belongs in no data set of an instance is not carried along."""
    dataset = make_instance()
    source = write_instance(tmp_path / "a.dcm", dataset)
    content = source.read_bytes()
    at = content.index(b"\x08\x00\x08\x00CS")
    before = b"\x04\x00\x00\x15CS\x0c\x00QUILLFEATHER" + b"\x08\x00\x00\x00UL\x04\x00\x01\0\0\0"
    padding = b"\xfc\xff\xfc\xffOB\0\0" + struct.pack("<I", 12) + b"Quillfeather"
    source.write_bytes(content[:at] + before + content[at:] + padding)
    output = kit.outcome(tmp_path, source, kit.recipe(tmp_path))
    assert {element.tag.group for element in output}.isdisjoint({0x0004, 0xFFFC})
    assert not [element for element in output if element.tag.element == 0]
    assert b"QUILLFEATHER" not in (tmp_path / "target.dcm").read_bytes().upper()


def test_a_kept_text_that_repeats_an_identifier_is_replaced(tmp_path: Path) -> None:
    """A name in a Code Meaning, an ID in a station's software version: neither stays."""
    dataset = make_instance()
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "1", "99A"
    code.CodeMeaning = "Chest of ZEBEDEE1"
    dataset.ProcedureCodeSequence = [code]
    dataset.ManufacturerModelName = "Perception for MRN000001"
    dataset.ConvolutionKernel = "B30"
    dataset.add_new(0x00180088, "LO", "of Quillfeather1")  # should be DS, and is read as text
    dataset.add_new(0x00281201, "OW", b"..Quillfeather1.")
    dataset.ExposureTime = "000001"
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert output.ProcedureCodeSequence[0].CodeMeaning == "REMOVED"
    assert output.ManufacturerModelName == "REMOVED"
    assert output.Manufacturer == dataset.Manufacturer
    assert output.ConvolutionKernel == "B30"
    assert output.ExposureTime == 1
    assert b"quillfeather" not in (tmp_path / "target.dcm").read_bytes().lower()


def test_pixel_data_within_an_item_go(tmp_path: Path) -> None:
    """A picture in an item is an icon: nobody asks for it, and nobody looked at it."""
    dataset = make_instance()
    item = Dataset()
    item.Rows = item.Columns = 1
    item.PixelData = b"ab"
    item["PixelData"].VR = "OW"
    dataset.AnatomicRegionSequence = [item]
    dataset.IconImageSequence = [item]
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert output.AnatomicRegionSequence[0].Rows == 1
    assert "PixelData" not in output.AnatomicRegionSequence[0]
    assert "IconImageSequence" not in output


@pytest.mark.parametrize("vr", sorted(SHORT_VRS | LONG_VRS - {"SQ"}))
def test_a_dummy_is_valid_and_never_the_sources_value(vr: str) -> None:
    """Also where the source holds our dummy already; as many values as the VM asks for."""
    first = dummies.dummy(vr)
    assert dummies.dummy(vr, "1", first) != first
    assert dummies.dummy(vr, "1", dummies.padded(vr, first)) != first
    element = DataElement(0x00091001, vr, None)
    encoded = dummies.encoded(b"\x09\x00\x01\x10", vr, dummies.dummy(vr, "3"), implicit=False)
    read = next(iter(dcmread(BytesIO(encoded), force=True)))
    assert read.VR == element.VR
    if vr not in ("LT", "ST", "UT", "UR", "OB", "OW", "OF", "OD", "OL", "OV", "UN"):
        assert read.VM == 3


def test_a_document_is_replaced_by_a_dummy_of_its_kind(tmp_path: Path) -> None:
    """Encapsulated Document is D: a PDF stays a PDF, its length is the dummy's."""
    dataset = make_instance()
    pdf = "1.2.840.10008.5.1.4.1.1.104.1"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = pdf
    dataset.Modality = "DOC"
    for tag in [tag for tag in dataset.keys() if tag.group in (0x0028, 0x7FE0)]:  # noqa: SIM118
        del dataset[tag]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocument = b"%PDF-1.4 Quillfeather1 " + bytes(100_000)
    dataset.EncapsulatedDocumentLength = 100_023
    dataset.DocumentTitle = "Letter on Quillfeather1"
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    document = output.EncapsulatedDocument
    assert document.startswith(b"%PDF-1.4\n")
    assert document[: output.EncapsulatedDocumentLength].endswith(b"%%EOF\n")
    start = int(document[document.index(b"startxref\n") + 10 :].split()[0])
    assert document[start:].startswith(b"xref")
    assert "Quillfeather" not in str(output.get("DocumentTitle"))


RULES = """
StudyDescription = { action = "replace", value = "TRIAL" }
ClinicalTrialProtocolID = { action = "replace", value = "T-1" }
SeriesDescription = "keep"
StationName = "hash"
StudyTime = "remove"
KVP = "empty"
'0009,"ACME",01' = "keep"
"""


def test_a_sites_own_rules_go_first(tmp_path: Path) -> None:
    """Keep, remove, empty, replace, which inserts what is absent, hash; also a private one."""
    dataset = make_instance()
    dataset.StationName = "CT2"
    block = dataset.private_block(0x0009, "ACME", create=True)
    block.add_new(1, "LO", "kept by the site")
    block.add_new(2, "LO", "not kept")
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, rules=RULES.strip()))
    assert output.StudyDescription == "TRIAL"
    assert output.ClinicalTrialProtocolID == "T-1"
    assert output.SeriesDescription == "axial"
    assert output.StationName.startswith("H")
    assert len(output.StationName) == 14
    assert "StudyTime" not in output
    assert output.KVP is None
    assert output.private_block(0x0009, "ACME")[1].value == "kept by the site"
    assert 0x00091002 not in output


def test_a_preview_says_what_the_engine_does(tmp_path: Path) -> None:
    """Before and after of each element that differs, nested ones and our own among them."""
    dataset = make_instance()
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3"
    item.PatientName = "Quillfeather1^Zebedee1"
    dataset.ReferencedInstanceSequence = [item]
    source = write_instance(tmp_path / "a.dcm", dataset)
    how = kit.recipe(tmp_path)
    changes = {change.path: change for change in preview(source, how)}
    output = kit.outcome(tmp_path, source, how)
    name = changes["(0010,0010)"]
    assert (name.keyword, name.vr, name.before) == ("PatientName", "PN", "Quillfeather1^Zebedee1")
    assert name.after == output.PatientName
    nested = changes["(0008,114A)[1].(0008,1155)"]
    assert nested.after == output.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
    assert changes["(0012,0062)"].before is None
    assert changes["(0008,1030)"].after is None
    assert "(0028,0010)" not in changes
    assert not any(
        text in str(change.after) for change in changes.values() for text in identifiers()
    )
