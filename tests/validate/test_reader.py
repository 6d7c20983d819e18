"""The strict reader: it agrees with pydicom, accounts for every byte, and refuses the rest."""

from __future__ import annotations

import os
import re
import struct
import tracemalloc
import warnings
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from node.deid import Quarantined, deidentify
from node.profile.recipe import Recipe
from node.validate.dataset import MAX_DEPTH
from node.validate.elements import Item, Unreadable
from node.validate.file import opened
from node.validate.reader import Parsed, parse
from tests.conftest import BUNDLED
from tests.factories import make_instance, write_instance
from tests.validate.rich import rich_image, rich_report

SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian,
            DeflatedExplicitVRLittleEndian)  # fmt: skip


def read(path: Path) -> Parsed:
    """Read a file from disk."""
    with opened(path) as file:
        return parse(file)


def tags(item: Item) -> list[object]:
    """Give the tags of a data set as the strict reader saw them, nested."""
    return [
        (element.tag, [tags(inner) for inner in element.items or ()])
        for element in sorted(item, key=lambda element: element.tag)
    ]


def pydicom_tags(dataset: Dataset) -> list[object]:
    """Give the same as pydicom saw them."""
    return [
        (int(element.tag), [pydicom_tags(item) for item in element.value]
         if element.VR == "SQ" and element.value else [])
        for element in dataset
    ]  # fmt: skip


def coded(meaning: str) -> Dataset:
    """Make an item that says something by a code."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "99X", meaning
    return item


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_it_reads_what_pydicom_reads(tmp_path: Path, syntax: str) -> None:
    """Every native syntax, nested items included."""
    dataset = rich_image(syntax)
    for tag in (0x00291001, 0x00291005):  # only the strict reader looks into a UN
        del dataset[tag]
    path = write_instance(tmp_path / "instance.dcm", dataset)
    parsed = read(path)
    assert parsed.oddities == ()
    assert parsed.syntax == syntax
    assert tags(parsed.dataset) == pydicom_tags(dcmread(path))


def test_it_agrees_over_the_files_that_pydicom_brings() -> None:
    """Third opinion: where both read a file, both see the same attributes."""
    compared = 0
    for path in sorted(path for path in BUNDLED.rglob("*.dcm") if path.is_file()):
        try:
            parsed = read(path)
        except Unreadable:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = {int(tag) for tag in dcmread(path, force=True).keys()}  # noqa: SIM118
        assert {element.tag for element in parsed.dataset} == theirs, path.name
        compared += 1
    assert compared > 60


def test_pixel_data_is_left_in_the_file(tmp_path: Path) -> None:
    """The element says where it is; a gigabyte is not loaded for its header."""
    path = write_instance(tmp_path / "instance.dcm", make_instance(rows=8))
    with opened(path) as file:
        parsed = parse(file)
        element = parsed.dataset.by_tag[0x7FE00010]
        assert element.value == b""
        assert (
            parsed.data[element.start : element.start + element.length]
            == make_instance(rows=8).PixelData
        )


@pytest.mark.parametrize("first", [140, 1000, 4096])
def test_how_much_is_read_at_once_changes_nothing(
    first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headers beyond it, large values, fragments, what follows the pixel data, faults."""
    monkeypatch.setattr("node.validate.reader._MORE", 2)
    made = [
        write_instance(tmp_path / f"{n}.dcm", rich_image(one)) for n, one in enumerate(SYNTAXES)
    ]
    long = rich_image()
    long.add_new(0x00420011, "OB", bytes(50_000))  # before the pixel data
    long.add_new(0xFFFCFFFC, "OB", bytes(5_000))  # after them
    made.append(write_instance(tmp_path / "long.dcm", long))
    made += sorted(path for path in BUNDLED.rglob("*.dcm") if path.is_file())
    for path in made:
        try:
            expected = parse(path.read_bytes())
        except Unreadable as why:
            monkeypatch.setattr("node.validate.reader._enough", [first])
            with pytest.raises(Unreadable, match=re.escape(str(why))):
                read(path)
            continue
        monkeypatch.setattr("node.validate.reader._enough", [first])
        found = read(path)
        assert replace(found, data=b"") == replace(expected, data=b""), path.name


def test_a_file_meta_that_goes_on_beyond_what_is_read_at_once_is_read_whole(tmp_path: Path) -> None:
    """Wherever that ends: within an element of it, or between two."""
    dataset = rich_image()
    dataset.file_meta.PrivateInformationCreatorUID = "1.2.3"
    dataset.file_meta.PrivateInformation = bytes(70_000)
    path = write_instance(tmp_path / "instance.dcm", dataset)
    expected = parse(path.read_bytes())
    last = list(expected.meta)[-1]
    ends = last.start + last.length
    assert ends == expected.begin
    for length in (140, 144, 1 << 14, last.start, ends - 1, ends, ends + 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("node.validate.reader._enough", [length])
            assert replace(read(path), data=b"") == replace(expected, data=b"")


def forge(path: Path, value_length: int) -> Path:
    """Write 64 MB of File Meta: elements that say that they have so many bytes, and no end."""
    header = struct.pack("<HH2sHL", 2, 0x102, b"OB", 0, value_length)
    with path.open("wb") as file:
        file.write(bytes(128) + b"DICM")
        while file.tell() < 1 << 26:
            file.write(header)
            file.seek(min(value_length, 1 << 26), os.SEEK_CUR)
        file.truncate()
    return path


@pytest.mark.parametrize("value_length", [1 << 14, 1 << 26, 0xFFFFFFFF])
def test_a_file_meta_without_end_does_not_have_the_file_read(
    tmp_path: Path, value_length: int, basic: Recipe
) -> None:
    """Whoever forges its lengths has neither reader hold more than a few megabytes."""
    path = forge(tmp_path / "forged.dcm", value_length)
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match="File Meta"):
            read(path)
        with pytest.raises(Quarantined, match="File Meta"):
            deidentify(path, tmp_path / "target.dcm", basic)
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


def test_a_sequence_that_an_earlier_file_had_too_is_read_alike(tmp_path: Path) -> None:
    """And one that differs in a byte, or lies elsewhere, is read for itself."""
    for number, meaning in enumerate(("Head", "Head", "Neck", "Chest", "Head")):
        dataset = rich_image()
        dataset.AccessionNumber = "1" * (2 * (number // 3))
        dataset.AnatomicRegionSequence = [coded(meaning)]
        path = write_instance(tmp_path / f"{number}.dcm", dataset)
        (item,) = read(path).dataset.by_tag[0x00082218].items or ()
        found = item.by_tag[0x00080104]
        assert found.value.strip() == meaning.encode()
        assert path.read_bytes()[found.start : found.start + found.length] == found.value


def test_a_sequence_at_fault_is_at_fault_each_time(tmp_path: Path) -> None:
    """What is remembered is only what was as PS3.5 wants it."""
    dataset = rich_image()
    dataset.AnatomicRegionSequence = [coded("Head")]
    raw = write_instance(tmp_path / "sound.dcm", dataset).read_bytes()
    code, meaning = raw.index(b"\x08\0\0\1SH"), raw.index(b"\x08\0\4\1LO")
    path = tmp_path / "twice.dcm"
    path.write_bytes(raw[:meaning] + raw[code : code + 6] + raw[meaning + 6 :])
    noted = {read(path).oddities for _ in range(2)}
    assert len(noted) == 1
    assert noted != {()}


def test_a_file_that_is_cut_short_while_it_is_read_is_an_error_and_no_signal(
    tmp_path: Path,
) -> None:
    """Mapped, it would end the process; the disk or whoever cut it is to blame, not the file."""
    path = write_instance(tmp_path / "instance.dcm", make_instance(rows=512))
    with opened(path) as file:
        parsed = parse(file)
        os.truncate(path, 4096)
        element = parsed.dataset.by_tag[0x7FE00010]
        with pytest.raises(OSError, match="changed while it was read"):
            parsed.data[element.start : element.start + element.length]


def whole(tmp_path: Path) -> bytes:
    """Give the bytes of a file that is in order."""
    return write_instance(tmp_path / "whole.dcm", rich_image()).read_bytes()


def test_no_prefix_of_a_file_passes_for_a_file(tmp_path: Path) -> None:
    """Cut within an element, it is unreadable, or odd by a byte too many."""
    data = whole(tmp_path)
    ends = element_ends(parse(data))
    for length in range(132, len(data), 3):
        if length in ends:
            continue
        try:
            assert parse(data[:length]).oddities
        except Unreadable:
            continue


def element_ends(parsed: Parsed) -> set[int]:
    """Give the offsets at which a top-level element ends: a shorter data set could end there."""
    return {element.start + element.length for element in (*parsed.meta, *parsed.dataset)} | {132}


ODD: dict[str, bytes] = {
    "tags that do not ascend": struct.pack("<HH2sH", 8, 5, b"CS", 0) * 2,
    "an odd length": struct.pack("<HH2sH", 8, 8, b"CS", 1) + b"A",
    "reserved bytes": struct.pack("<HH2s2sL", 8, 8, b"UT", b"Qx", 0),
    "a delimiter with a length": struct.pack("<HH2sHL", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    + struct.pack("<HHL", 0xFFFE, 0xE0DD, 4),
}  # fmt: skip


@pytest.mark.parametrize("oddity", ODD)
def test_what_is_not_as_it_should_be_is_noted(oddity: str) -> None:
    """An original may be odd, an output may not."""
    head = struct.pack("<HH2sH", 8, 1, b"UL", 4) + b"\0\0\0\0"
    assert parse(head + ODD[oddity]).oddities[1:]


REFUSED: dict[str, bytes] = {
    "an unknown VR": struct.pack("<HH2sH", 8, 8, b"QQ", 0),
    "a value past the end": struct.pack("<HH2sH", 8, 8, b"CS", 100) + b"A",
    "half a header": b"\x08\x00\x08\x00CS",
    "an orphan delimiter": struct.pack("<HHL", 0xFFFE, 0xE00D, 0),
    "a sequence that is not ended": struct.pack("<HH2sHL", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF),
    "something other than an item": struct.pack("<HH2sHL", 8, 0x1140, b"SQ", 0, 8)
    + struct.pack("<HHL", 8, 8, 0),
    "a text of undefined length": struct.pack("<HH2sHL", 8, 0x119, b"UC", 0, 0xFFFFFFFF),
    "fragments that are not ended": struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
    + struct.pack("<HHL", 0xFFFE, 0xE000, 0),
    "sequences without end in sight": (
        struct.pack("<HH2sHL", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF)
        + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    ) * (MAX_DEPTH + 5),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_what_it_does_not_know_it_refuses(fault: str) -> None:
    """No guess, no recovery."""
    head = struct.pack("<HH2sH", 8, 1, b"UL", 4) + b"\0\0\0\0"
    with pytest.raises(Unreadable):
        parse(head + REFUSED[fault])


def test_a_deflated_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inflating is bounded."""
    monkeypatch.setattr("node.validate.reader.MAX_INFLATED", 1000)
    dataset = make_instance(syntax=DeflatedExplicitVRLittleEndian)
    path = write_instance(tmp_path / "bomb.dcm", dataset)
    with pytest.raises(Unreadable, match="larger than we inflate"):
        read(path)
    damaged = path.read_bytes()
    with pytest.raises(Unreadable):
        parse(damaged[:-20] + zlib.compress(b"no")[:20])


def mutations(data: bytes) -> st.SearchStrategy[bytes]:
    """Give a file with some bytes changed, cut out or put in."""
    place = st.integers(132, len(data) - 1)

    @st.composite
    def mutated(draw: st.DrawFn) -> bytes:
        changed = bytearray(data)
        for _ in range(draw(st.integers(1, 4))):
            at = min(draw(place), len(changed) - 1)
            changed[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
        return bytes(changed)

    return mutated()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_is_never_more_than_unreadable(
    data: st.DataObject, damaged_sources: list[bytes]
) -> None:
    """Whatever the bytes, the reader reads or refuses; it does not fail."""
    source = data.draw(st.sampled_from(damaged_sources))
    try:
        parse(data.draw(mutations(source)))
    except Unreadable:
        return


@pytest.fixture(scope="module")
def damaged_sources(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Give files to damage."""
    folder = tmp_path_factory.mktemp("sources")
    made = [rich_image(), rich_image(ImplicitVRLittleEndian), rich_report()]
    return [
        write_instance(folder / f"{number}.dcm", dataset).read_bytes()
        for number, dataset in enumerate(made)
    ]


def test_a_file_that_comes_in_parts_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel gives no more than 2 GB at once, and may give less."""
    content = bytes(range(256)) * 40
    path = tmp_path / "file"
    path.write_bytes(content)
    whole_read, whole_fill = os.pread, os.preadv
    monkeypatch.setattr(os, "pread", lambda fd, length, at: whole_read(fd, min(length, 999), at))
    monkeypatch.setattr(os, "preadv", lambda fd, views, at: whole_fill(fd, [views[0][:999]], at))
    with opened(path) as file:
        file.first(100)
        window = np.zeros(len(content) - 50, np.uint8)
        file.read_into(window, 50)
        assert window.tobytes() == content[50:]
        assert file[:] == content
        assert file[7:5000] == content[7:5000]
        os.truncate(path, 5000)
        for read in (lambda: file[100:], lambda: file.read_into(window, 50)):
            with pytest.raises(OSError, match="changed while it was read"):
                read()
