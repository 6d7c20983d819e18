"""A header that is read beside one like it says just what it says when it is read alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from node.inbox.element_walk import MOST_STEPS, ElementWalk
from node.inbox.header import Header, HeaderReader, Unreadable, read_header
from tests.factories import make_instance
from tests.inbox.test_header import (
    BEFORE,
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    file_of,
    meta,
    short,
)

SYNTAXES = (EXPLICIT, IMPLICIT, BIG)
REST = short(0x0020000D, b"UI", b"1.2.3\0") + short(0x00200010, b"SH", b"7 ")


def said_by(reader: HeaderReader, content: bytes) -> Header | str:
    """Give the header, or what the reader says against the file."""
    try:
        return reader.read(content)
    except Unreadable as error:
        return str(error)


def content_of(syntax: str, number: int = 1) -> bytes:
    """Give a file with sequences of both kinds of length before its Study Instance UID."""
    dataset = make_instance(instance=number)
    if syntax == BIG:
        dataset["PixelData"].VR = "OW"
    outer, inner = Dataset(), Dataset()
    inner.StudyInstanceUID = "9.9"
    outer.ReferencedSeriesSequence = [inner]
    dataset.ReferencedImageSequence = [outer, Dataset()]
    dataset.ReferencedStudySequence = [Dataset()]
    dataset["ReferencedImageSequence"].is_undefined_length = True
    for part in dataset.ReferencedImageSequence:
        part.is_undefined_length_sequence_item = True
    return file_of(dataset, syntax)


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give a list that grows by one at each walk."""
    counted: list[int] = []
    real = ElementWalk.run

    def run(walk: ElementWalk, wanted: frozenset[int], last: int) -> object:
        counted.append(last)
        return real(walk, wanted, last)

    monkeypatch.setattr(ElementWalk, "run", run)
    return counted


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_file_like_one_before_is_not_walked_again(
    syntax: str, walks: list[int], tmp_path: Path
) -> None:
    """From bytes and from a path; and it has its own values, not the first one's."""
    reader = HeaderReader()
    headers = []
    for number in (1, 2, 3):
        content = content_of(syntax, number)
        (tmp_path / "a.dcm").write_bytes(content)
        headers.append(reader.read(content))
        assert reader.read(tmp_path / "a.dcm") == headers[-1]
    assert len(walks) == 2
    assert len({header.sop_instance_uid for header in headers}) == 3


def one_byte_changed(content: bytes, up_to: int) -> Iterator[bytes]:
    """Give files that differ in one byte from this one."""
    for at in range(up_to):
        for value in {0, 1, 0xFF, content[at] ^ 1, content[at] ^ 0x10} - {content[at]}:
            yield content[:at] + bytes([value]) + content[at + 1 :]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_no_changed_byte_goes_unseen(syntax: str) -> None:
    """Each byte up to the Study and behind it: tags, VRs, lengths, values, encoding, prefix."""
    content = content_of(syntax)
    study = read_header(content).study_instance_uid.encode()
    reader = HeaderReader()
    reader.read(content)
    for changed in one_byte_changed(content, content.index(study) + 200):
        assert said_by(reader, changed) == said_by(HeaderReader(), changed)


@given(st.data())
def test_files_in_any_order_say_what_they_say_alone(data: st.DataObject) -> None:
    """Good ones, cut ones, ones with noise in them, in all encodings."""
    reader = HeaderReader()
    good = [content_of(syntax, number) for syntax in (*SYNTAXES, DEFLATED) for number in (1, 12)]
    for _ in range(data.draw(st.integers(2, 12))):
        content = data.draw(st.sampled_from(good))
        at, noise = data.draw(st.tuples(st.integers(0, 1500), st.binary(max_size=12)))
        end = data.draw(st.sampled_from([None, None, None, at]))
        content = (content[:at] + noise + content[at + len(noise) :])[:end]
        assert said_by(reader, content) == said_by(HeaderReader(), content)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (meta() + BEFORE + REST[:14], "ends with the file"),
        (file_of(make_instance(), DEFLATED), "deflated"),
        (meta() + BEFORE + short(0x00091001, b"LO", b"x" * 60_000) + REST, "beyond the beginning"),
        (meta()[:132] + meta()[144:] + BEFORE + REST, "File Meta without its length"),
        (meta() + BEFORE + b"".join(short(0x00090000 | n, b"LO", b"") for n in range(1, MOST_STEPS))
         + REST, "many elements"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_could_be_walked_otherwise_is_walked(
    content: bytes, what: str, walks: list[int], tmp_path: Path
) -> None:
    """Where a walk was led by more than the bytes of the beginning, the next is walked too."""
    del what
    (tmp_path / "a.dcm").write_bytes(content)
    reader = HeaderReader()
    header = reader.read(tmp_path / "a.dcm")
    assert reader.read(tmp_path / "a.dcm") == header
    assert len(walks) == 4
