"""Every row of Table E.1-1 is obeyed: a row that the engine ignored would fail here."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from node.profile.actions import Option
from node.profile.iod import type_of
from node.profile.tables import attribute, confidentiality_table
from tests.deid import kit
from tests.factories import make_instance

#: By VR; {} is the attribute's tag, so that no two attributes repeat each other.
VALUES = {
    "AE": "ZQ{}", "AS": "042Y", "CS": "ZQ{}", "DA": "20110203", "DS": "4711.5",
    "DT": "20110203040506.000000", "FD": 4711.5, "FL": 4711.5, "IS": "4711", "LO": "ZQ{}",
    "LT": "ZQ{}", "OB": "ZQ{}", "OW": "ZQ{}", "PN": "ZQ{}", "SH": "ZQ{}", "ST": "ZQ{}",
    "TM": "040506.123456", "UC": "ZQ{}", "UI": "1.2.3.4711", "UL": 4711, "UN": "ZQ{}",
    "UR": "http://ZQ{}", "US": 4711, "UT": "ZQ{}",
}  # fmt: skip
#: What another test looks after, or what makes the instance an instance.
SPECIAL = {
    0x00100010, 0x00100020, 0x00080050, 0x00200010, 0x00420011, 0x00080018, 0x0020000D, 0x0020000E,
}  # fmt: skip
GROUPS = (0x0000, 0x0002, 0x0004, 0xFFFC, 0x5000, 0x6000)
ROWS = {
    tag: known.vr.split(" or ")[0]
    for tag in sorted(confidentiality_table())
    if (known := attribute(tag)) and tag not in SPECIAL and tag >> 16 not in GROUPS
}
STRICTNESS = {"X": 0, "Z": 1, "D": 2, "U": 2}


def planted(tag: int, vr: str) -> object:
    """Give a value for an attribute that is easy to find again."""
    value = VALUES[vr]
    if isinstance(value, str):
        value = value.format(f"{tag:08X}")
    return value.encode() if vr in ("OB", "OW", "UN") else value


@pytest.fixture(scope="module")
def source() -> Dataset:
    """Make an instance that has an attribute for every row of the table."""
    dataset = make_instance()
    for tag, vr in ROWS.items():
        if vr != "SQ":
            dataset.add_new(tag, vr, planted(tag, vr))
            continue
        item = Dataset()
        item.ReferencedSOPInstanceUID = "1.2.3.4711"
        item.PatientAddress = f"ZQ{tag:08X}"
        item.StudyDescription = f"ZQ{tag:08X}"
        dataset.add_new(tag, "SQ", [item])
    return dataset


def test_the_table_is_whole() -> None:
    """Edition 2026d has 657 rows; what this module leaves out is looked after elsewhere."""
    assert len(confidentiality_table()) + 1 == 657  # and the row of private attributes
    assert len(ROWS) > 630


@pytest.mark.parametrize("option", ["", *Option])
def test_every_row_is_obeyed(option: str, source: Dataset, tmp_path: Path) -> None:
    """Each outcome is its row's action, resolved by Type; with an option, its column's."""
    output = kit.outcome(tmp_path, source, kit.recipe(tmp_path, *([option] if option else [])))
    present = set(source.keys())
    wrong = []
    for tag, vr in ROWS.items():
        row = confidentiality_table()[tag]
        code = (row[["", *Option].index(option)] if option else "") or row[0]
        kind = type_of(source.SOPClassUID, (tag,), present)
        if code == "C" or (code == "K" and vr == "SQ"):
            right = is_clean(option, tag, vr, output, source)
        else:
            right = is_done(resolved(code, kind), tag, vr, output, source)
        if not right:
            wrong.append(f"{tag:08X} {vr} {code} Type {kind}: {output.get(tag)}")
    assert not wrong


def resolved(code: str, kind: str) -> str:
    """Resolve a compound action by an attribute's Type (PS3.15 E.1.1)."""
    actions = code.rstrip("*").split("/")
    if len(actions) == 1:
        return "D" if actions == ["Z"] and kind == "1" else actions[0]
    if "U" in actions and kind != "3":
        return "U"
    asked = {"3": 0, "2": 1, "1": 2}[kind]
    enough = [each for each in actions if STRICTNESS[each] >= asked]
    return min(enough, key=STRICTNESS.__getitem__) if enough else "D"


def is_done(action: str, tag: int, vr: str, output: Dataset, source: Dataset) -> bool:
    """Tell whether one attribute of the output is what one action makes of it."""
    if action == "X" or tag not in output:
        return action == "X" and tag not in output
    element = output[tag]
    if action == "Z":
        return element.is_empty if vr != "SQ" else not element.value
    if action == "K":
        return element.value == source[tag].value
    if vr == "SQ":
        return bool(element.value) and not repeats(element, tag)
    return not element.is_empty and element.value != source[tag].value and not repeats(element, tag)


def is_clean(option: str, tag: int, vr: str, output: Dataset, source: Dataset) -> bool:
    """Tell whether nothing planted is left, dates moved, and a sequence was gone through."""
    if tag not in output:
        return True
    element = output[tag]
    if repeats(element, tag) or (vr in ("DA", "DT") and element.value == source[tag].value):
        return False
    if vr != "SQ" or not element.value or "ReferencedSOPInstanceUID" not in element.value[0]:
        return True
    kept = element.value[0].ReferencedSOPInstanceUID == "1.2.3.4711"
    return kept == (option == Option.RETAIN_UIDS) and "PatientAddress" not in element.value[0]


def repeats(element: DataElement, tag: int) -> bool:
    """Tell whether an element says anything of what was planted."""
    return f"ZQ{tag:08X}" in str(element) or "1.2.3.4711" in str(element)


def test_a_group_of_curves_and_a_group_of_overlays_are_removed_whole(tmp_path: Path) -> None:
    """The table's rows 50xx,xxxx and 60xx,3000/4000 stand for all groups."""
    dataset = make_instance()
    for group in (0x5000, 0x501E, 0x6000, 0x601E):
        dataset.add_new((group, 0x0010), "US", 4)
        dataset.add_new((group, 0x0022), "LO", "ZQPLANTED")
        dataset.add_new((group, 0x3000), "OW", b"ZQPLANTED!")
        dataset.add_new((group, 0x4000), "LT", "ZQPLANTED")
    for options in ((), ("clean-graphics",)):
        output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, *options))
        assert not [tag for tag in output.keys() if tag >> 24 in (0x50, 0x60)]  # noqa: SIM118
