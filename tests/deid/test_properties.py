"""What holds for any instance: what is not kept does not get through, and nothing breaks."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from node.profile.actions import Action
from node.profile.profile import Profile
from node.profile.tables import dictionary
from tests.deid import kit
from tests.factories import make_instance

QUICK = settings(
    max_examples=15, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
ENCODINGS = {"": "ascii", "ISO_IR 100": "latin-1", "ISO_IR 192": "utf-8", "ISO_IR 144": "iso8859_5"}
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
#: Not in a data set, or only with a meaning that the rest must bear out.
FOREIGN = {0x0000, 0x0002, 0x0004, 0x0028, 0x5400, 0x5600, 0x7FE0, 0xFFFC, 0xFFFE}
ATTRIBUTES = sorted(
    tag
    for tag, row in dictionary().items()
    if tag >> 16 not in FOREIGN and tag & 0xFFFF and " or " not in row.vr and len(row.vr) == 2
    and tag not in (0x00080005, 0x00080016, 0x00080018, 0x00100020, 0x00100021, 0x0020000D,
                    0x0020000E, 0x00420011)
)  # fmt: skip
SEQUENCES = [tag for tag in ATTRIBUTES if dictionary()[tag].vr == "SQ"]
OTHERS = [tag for tag in ATTRIBUTES if dictionary()[tag].vr != "SQ"]


def value_of(vr: str, number: int, word: str) -> object:
    """Give a value that occurs nowhere else."""
    day = (date(1960, 1, 1) + timedelta(days=number)).strftime("%Y%m%d")
    unique = struct.pack("<Q", 0xABCDEF0000000000 + number)
    fixed = {
        "AS": f"{number % 90:03d}Y", "DA": day, "DT": f"{day}101112.345678", "AT": 0x00081030,
        "TM": f"1011{number % 60:02d}.{number:06d}", "UI": f"1.2.826.0.1.3680043.9.7777.{number}",
        "UR": f"http://zq{number}.test", "US": number % 30_000, "SS": number % 30_000,
    }  # fmt: skip
    families: dict[str, object] = {
        "DS IS": str(70_000_000 + number), "CS AE": f"ZQ{number:06d}", "FL FD": float(number),
        "OB OW OF OD OL OV UN": unique, "UL SL UV SV": 1_700_000_000 + number,
    }  # fmt: skip
    if vr in fixed:
        return fixed[vr]
    return next(
        (value for family, value in families.items() if vr in family.split()),
        f"{word}{number:06d}",
    )


@st.composite
def instances(draw: st.DrawFn) -> Dataset:
    """Draw an instance: any attributes, nested, private ones among them, in any character set."""
    numbers = itertools.count(draw(st.integers(1, 1000)))
    charset = draw(st.sampled_from(sorted(ENCODINGS)))
    word = {"": "ZQ", "ISO_IR 100": "Zqüé", "ISO_IR 192": "Zq日本", "ISO_IR 144": "ЖЩ"}[charset]
    dataset = make_instance()
    if charset:
        dataset.SpecificCharacterSet = charset
    fill(draw, dataset, numbers, word, depth=0)
    dataset.PatientID = f"{word}-id"
    dataset.file_meta.TransferSyntaxUID = draw(st.sampled_from(SYNTAXES))
    return dataset


def fill(draw: st.DrawFn, dataset: Dataset, numbers: Iterator[int], word: str, depth: int) -> None:
    """Add attributes to a data set or item."""
    for tag in draw(st.sets(st.sampled_from(OTHERS), max_size=15)):
        vr = dictionary()[tag].vr
        dataset.add_new(tag, vr, value_of(vr, next(numbers), word))
    if draw(st.booleans()):
        block = dataset.private_block(0x0019, "GEMS_ACQU_01", create=True)
        block.add_new(0x23, "DS", str(70_000_000 + next(numbers)))
        block.add_new(0x01, "LO", f"{word}{next(numbers):06d}")
        block = dataset.private_block(0x0029, f"{word} MADE UP", create=True)
        block.add_new(0x10, "PN", f"{word}{next(numbers):06d}")
        block.add_new(0x11, "OB", struct.pack("<Q", 0xABCDEF0000000000 + next(numbers)))
    if depth < 2:
        for tag in draw(st.sets(st.sampled_from(SEQUENCES), max_size=3)):
            item = Dataset()
            fill(draw, item, numbers, word, depth + 1)
            dataset.add_new(tag, "SQ", [item])


def secrets(dataset: Dataset, profile: Profile, encoding: str) -> Iterator[bytes]:
    """Give the values that may not come out, as bytes of the output (little endian)."""
    for element in dataset:
        tag = int(element.tag)
        if element.VR == "SQ":
            for item in element.value:
                yield from secrets(item, profile, encoding)
            continue
        if element.tag.is_private:
            rule = profile.private(element.tag.group, "", element.tag.element, element.VR)
        else:
            rule = profile.public(tag, element.VR)
        if rule.actions == (Action.K,) or element.VR in ("AS", "TM", "US", "SS", "AT", "FL", "FD"):
            continue
        if element.tag.is_private and element.tag.element & 0xFF in (0x10, 0x23):
            continue  # a creator, or one that Table E.3.10-1 calls safe
        value = element.value
        if isinstance(value, bytes):
            yield value
        elif element.VR in ("UL", "SL"):
            yield struct.pack("<I", value)
        elif element.VR in ("UV", "SV"):
            yield struct.pack("<Q", value)
        else:
            yield str(value).encode(encoding)


MUCH = (kit.MODIFIED, "retain-safe-private", "clean-descriptors", "clean-structured-content")


@pytest.mark.parametrize("options", [(), MUCH])
@QUICK
@given(instances())
def test_nothing_that_is_not_kept_gets_through(
    options: tuple[str, ...], tmp_path: Path, dataset: Dataset
) -> None:
    """No source value of an attribute that is not kept occurs in the output's bytes."""
    how = kit.recipe(tmp_path, *options)
    output = kit.run(tmp_path, dataset, how).read_bytes()
    charset = dataset.get("SpecificCharacterSet", "")
    left = {
        secret
        for secret in secrets(dataset, how.profile, ENCODINGS[charset])
        if len(secret) >= 5 and secret in output and not secret.isalpha()
    }
    assert not left


@QUICK
@given(instances())
def test_the_same_bytes_give_the_same_bytes(tmp_path: Path, dataset: Dataset) -> None:
    """The output is a pure function of file and recipe; and it can be de-identified again."""
    how = kit.recipe(tmp_path)
    first = kit.run(tmp_path, dataset, how)
    content = first.read_bytes()
    assert kit.run(tmp_path, tmp_path / "source.dcm", how).read_bytes() == content
    again = tmp_path / "first.dcm"
    again.write_bytes(content)
    kit.outcome(tmp_path, again, how)


@QUICK
@given(instances())
def test_what_is_kept_is_what_pydicom_reads(tmp_path: Path, dataset: Dataset) -> None:
    """The oracle is pydicom: a kept number or code has its value, at every level."""
    how = kit.recipe(tmp_path)
    output = kit.outcome(tmp_path, dataset, how)
    tags = [element.tag for element in output]
    assert tags == sorted(tags)
    for element in dataset:
        rule = how.profile.public(int(element.tag), element.VR)
        if rule.actions == (Action.K,) and element.VR in ("DS", "IS", "US", "UL", "FL", "FD", "AT"):
            assert output[element.tag].value == element.value
    assert output.PixelData == dataset.PixelData


@QUICK
@given(st.lists(st.dates(date(1920, 1, 1), date(2030, 1, 1)), min_size=2, max_size=6))
def test_the_days_between_a_patients_dates_stay(tmp_path: Path, days: list[date]) -> None:
    """With modified dates every date of one patient goes back by the same days, DA and DT alike."""
    keywords = [
        "StudyDate",
        "SeriesDate",
        "AcquisitionDate",
        "ContentDate",
        "CurveDate",
        "OverlayDate",
    ]
    dataset = make_instance()
    for keyword, day in zip(keywords, days, strict=False):
        setattr(dataset, keyword, day.strftime("%Y%m%d"))
    dataset.AcquisitionDateTime = days[0].strftime("%Y%m%d") + "235959.5+0200"
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, kit.MODIFIED))
    moved = {
        (day - date(int(new[:4]), int(new[4:6]), int(new[6:]))).days
        for keyword, day in zip(keywords, days, strict=False)
        if (new := output.get(keyword))
    }
    assert len(moved) == 1
    assert 1 <= moved.pop() <= 3650
    assert output.AcquisitionDateTime == output.StudyDate + "235959.5+0200"
