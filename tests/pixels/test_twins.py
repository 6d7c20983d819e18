"""The same instance sent again in another transfer syntax: a duplicate, and never a replacement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from tests.factories import make_instance
from tests.process.conftest import Door


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """Give a node with the real engine and validator."""
    door = Door(tmp_path / "node")
    yield door
    door.close()


def sent_again(syntax: str) -> FileDataset:
    """Give the same instance in another transfer syntax."""
    native = syntax in {ImplicitVRLittleEndian, ExplicitVRBigEndian}
    dataset = make_instance(rows=32, syntax=UID(syntax)) if native else make_instance(rows=32)
    if syntax == JPEGLSNearLossless:
        dataset.compress(syntax, jls_error=2, generate_instance_uid=False)
    elif not native:
        dataset.compress(syntax, generate_instance_uid=False)
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, np.uint16).byteswap().tobytes()
    return dataset


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, JPEGLSLossless, JPEG2000Lossless, RLELossless],
)
def test_a_copy_in_another_syntax_is_a_duplicate(door: Door, syntax: str) -> None:
    """Not a value and not a pixel differs: the first one goes out, and nobody is asked."""
    door.arrive(make_instance(rows=32), sent_again(syntax))
    door.settle()
    first, later = sorted(door.instances())
    assert door.states() == {first: "DEIDENTIFIED", later: "DUPLICATE"}
    assert door.study().state == "RELEASED"


def test_a_copy_that_comes_after_the_release_changes_nothing(door: Door) -> None:
    """It is compared with what is out, and there is no second generation."""
    door.arrive(make_instance(rows=32))
    door.settle()
    door.arrive(sent_again(JPEGLSLossless), association="b000000000")
    door.settle()
    assert sorted(door.states().values()) == ["DEIDENTIFIED", "DUPLICATE"]
    assert (door.study().state, len(door.releases())) == ("RELEASED", 1)


def test_a_copy_that_lost_something_is_none(door: Door) -> None:
    """Compressed with loss it has other pixels: a person chooses."""
    door.arrive(make_instance(rows=32), sent_again(JPEGLSNearLossless))
    door.settle()
    assert (door.study().state, door.releases()) == ("HELD", [])
    assert "first or the latest" in door.study().reason


def test_a_copy_with_another_value_is_none(door: Door) -> None:
    """The same pixels under another window are another version."""
    again = sent_again(JPEGLSLossless)
    again.WindowCenter = 55
    door.arrive(make_instance(rows=32), again)
    door.settle()
    assert (door.study().state, door.releases()) == ("HELD", [])
