"""Private attributes: gone, or under Retain Safe Private known one by one (PS3.15 E.3.10)."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.deid import pseudonyms
from node.profile.actions import Option
from node.profile.tables import safe_private
from node.validate import HOLDING, validate
from tests.deid import kit
from tests.factories import make_instance, study_uid, write_instance

SAFE = Option.RETAIN_SAFE_PRIVATE
VALUES = {
    "DS": "1.5", "IS": "7", "US": 7, "SS": 7, "UL": 7, "SL": 7, "FL": 1.5, "FD": 1.5, "CS": "CODE",
    "LO": "axial", "SH": "axial", "ST": "axial", "LT": "axial", "UI": "1.2.3.4711",
    "DA": "20110203",
    "TM": "101112", "DT": "20110203101112", "OB": b"ab", "OW": b"ab", "UN": b"ab", "AT": 0x00080000,
}  # fmt: skip


def private(
    dataset: Dataset, group: int, creator: str, element: int, vr: str, value: object
) -> None:
    """Add a private attribute."""
    dataset.private_block(group, creator, create=True).add_new(element, vr, value)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_every_private_attribute_goes_with_its_creator(syntax: str, tmp_path: Path) -> None:
    """At every level, whatever the option "basic" does not name."""
    dataset = make_instance(syntax=syntax)
    item = Dataset()
    item.CodeValue = "1"
    private(item, 0x0019, "GEMS_ACQU_01", 0x23, "DS", "1.5")
    dataset.AnatomicRegionSequence = [item]
    private(dataset, 0x0019, "GEMS_ACQU_01", 0x23, "DS", "1.5")
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert not [element for element in output.iterall() if element.tag.is_private]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_every_row_of_the_safe_table_stays_and_its_neighbour_goes(
    syntax: str, tmp_path: Path
) -> None:
    """Table E.3.10-1 row by row: kept, but UIDs remapped, dates gone, bulk and texts looked at."""
    dataset = make_instance(syntax=syntax)
    rows = safe_private()
    for (group, creator, element), listed in rows.items():
        vr = listed.split("/")[0] or "LO"
        if vr == "SQ":
            item = Dataset()
            item.PatientName = "Quillfeather1^Zebedee1"
            item.Rows = 4
            private(dataset, group, creator, element, "SQ", [item])
        else:
            private(dataset, group, creator, element, vr, VALUES[vr])
    creators = {(group, creator) for group, creator, _ in rows}
    for group, creator in creators:
        free = next(each for each in range(256) if (group, creator, each) not in rows)
        private(dataset, group, creator, free, "LO", "unlisted")
    output = dcmread(kit.run(tmp_path, dataset, kit.recipe(tmp_path, SAFE)))
    lost = []
    for (group, creator, element), listed in rows.items():
        vr = listed.split("/")[0] or "LO"
        block = output.private_block(group, creator)
        if element not in block:
            lost.append((group, creator, element, vr))
        elif vr == "SQ":
            rows = b"\x28\x00\x10\x00"  # implicit VR: what pydicom calls bytes is a sequence
            value = block[element].value
            assert rows in value if isinstance(value, bytes) else value[0].Rows == 4
        elif vr == "UI":
            assert block[element].value != "1.2.3.4711"
    assert {vr for *_, vr in lost} <= {"DA", "DT", "TM"}
    content = (tmp_path / "target.dcm").read_bytes()
    assert b"unlisted" not in content
    assert b"Quillfeather" not in content


def test_a_creator_is_known_by_its_name_in_whatever_block(tmp_path: Path) -> None:
    """Blocks move; a creator of whom nothing stays goes, one of whom something stays is kept."""
    dataset = make_instance()
    private(dataset, 0x0019, "SOMEBODY ELSE", 0x23, "DS", "9.9")
    private(dataset, 0x0019, "GEMS_ACQU_01", 0x23, "DS", "1.5")
    private(dataset, 0x0019, "GEMS_ACQU_01", 0x01, "LO", study_uid(1, 1))
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, SAFE))
    assert output.private_block(0x0019, "GEMS_ACQU_01")[0x23].value == 1.5
    assert output.private_creators(0x0019) == ["GEMS_ACQU_01"]


def test_a_private_attribute_without_a_creator_goes(tmp_path: Path) -> None:
    """Nobody can tell what it is."""
    dataset = make_instance()
    dataset.add_new(0x00191123, "DS", "1.5")
    dataset.add_new(0x00190001, "DS", "1.5")
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, SAFE))
    assert not [element for element in output if element.tag.is_private]


def test_private_dates_move_with_the_others(tmp_path: Path) -> None:
    """With modified dates a safe private date moves like the study's."""
    row = next((key for key, vr in safe_private().items() if vr == "DA"), None)
    dataset = make_instance()
    group, creator, element = row or (0x0019, "MADE UP", 0x01)
    private(dataset, group, creator, element, "DA", dataset.StudyDate)
    rules = "" if row else """'0019,"MADE UP",01' = "shift\""""
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, SAFE, kit.MODIFIED, rules=rules))
    assert output.private_block(group, creator)[element].value == output.StudyDate


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_private_text_is_replaced_or_hashed_as_the_site_says(syntax: str, tmp_path: Path) -> None:
    """With the VR that the rule states; at every level, in any block, as the page's vectors say."""
    dataset = make_instance(syntax=syntax)
    item = Dataset()
    for level in (dataset, item):
        private(level, 0x0029, "SOMEBODY ELSE", 0x08, "LO", "theirs")
        private(level, 0x0029, "SIEMENS CSA HEADER", 0x08, "LO", "x")
        private(level, 0x0029, "SIEMENS CSA HEADER", 0x09, "SH", "site")
    dataset.AnatomicRegionSequence = [item]
    rules = """
    '(0029,"SIEMENS CSA HEADER",08)' = { action = "hash", vr = "LO" }
    '(0029,"SIEMENS CSA HEADER",09)' = { action = "replace", vr = "SH", value = "Trial 7" }
    """
    how = kit.recipe(tmp_path, rules=rules)
    output = dcmread(kit.run(tmp_path, dataset, how))
    keys = pseudonyms.derive_subkeys(kit.KEY, "tests")
    identity = pseudonyms.identity_of("", dataset.PatientID)
    code = pseudonyms.text_code(keys, identity, "0029,SIEMENS CSA HEADER,08", "x")
    for level in (output, output.AnatomicRegionSequence[0]):
        assert level.private_creators(0x0029) == ["SIEMENS CSA HEADER"]
        block = level.private_block(0x0029, "SIEMENS CSA HEADER")
        texts = [block[element].value for element in (0x08, 0x09)]
        assert [t.decode() if isinstance(t, bytes) else t for t in texts] == [code, "Trial 7"]
    source = write_instance(tmp_path / "again.dcm", dataset)
    verdict = validate(source, tmp_path / "target.dcm", how)
    assert not [finding for finding in verdict.findings if finding.severity in HOLDING]


def test_a_private_attribute_of_another_vr_than_the_rule_says_goes(tmp_path: Path) -> None:
    """Nobody knows then what it is."""
    dataset = make_instance()
    private(dataset, 0x0029, "ACME", 0x08, "US", 7)
    rules = """'(0029,"ACME",08)' = { action = "hash", vr = "LO" }"""
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, rules=rules))
    assert not [element for element in output if element.tag.is_private]
