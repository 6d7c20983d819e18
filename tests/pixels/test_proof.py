"""What the validator calls the same picture: a transcoder that errs does not pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import FileDataset, dcmread
from pydicom.encaps import encapsulate, generate_frames

from node.pixels.transcode import transcode
from node.validate.decoded import are_equal
from tests.factories import write_instance
from tests.pixels.images import EXPLICIT, RLE, carried, make_frames


def _set(keyword: str, value: object) -> Callable[[FileDataset], None]:
    return lambda dataset: setattr(dataset, keyword, value)


def _frames(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[FileDataset], None]:
    def apply(dataset: FileDataset) -> None:
        frames = list(generate_frames(dataset.PixelData, number_of_frames=dataset.NumberOfFrames))
        changed = change(frames)
        dataset.NumberOfFrames = len(changed)
        dataset.PixelData = encapsulate(changed)

    return apply


ERRORS = {
    "grey turned round": _set("PhotometricInterpretation", "MONOCHROME1"),
    "signed": _set("PixelRepresentation", 1),
    "fewer bits": _set("BitsStored", 11),
    "other high bit": _set("HighBit", 15),
    "a frame lost": _frames(lambda frames: frames[:-1]),
    "a frame twice": _frames(lambda frames: [*frames, frames[-1]]),
    "frames exchanged": _frames(lambda frames: frames[::-1]),
}


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_is_seen(tmp_path: Path, error: str) -> None:
    """Samples may be right and the picture wrong."""
    source = write_instance(tmp_path / "source.dcm", make_frames(2))
    target = tmp_path / "target.dcm"
    transcode(source, target, RLE)
    assert are_equal(source, target)
    wrong = dcmread(target)
    ERRORS[error](wrong)
    wrong.save_as(target)
    assert not are_equal(source, target)


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "SC_rgb_jpeg_dcmtk.dcm"])
def test_a_loss_that_is_forgotten_is_seen(tmp_path: Path, name: str) -> None:
    """What was compressed with loss must say so in any syntax."""
    target = tmp_path / "target.dcm"
    transcode(carried(name), target, EXPLICIT)
    assert are_equal(carried(name), target)
    wrong = dcmread(target)
    wrong.LossyImageCompression = "00"
    wrong.save_as(target)
    assert not are_equal(carried(name), target)
