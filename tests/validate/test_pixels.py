"""Pixel data is the original's to the byte, or, written in another syntax, to the pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from node.profile.recipe import Recipe
from node.validate import Finding, validate
from node.validate.codestream import remarks, strip
from tests.factories import make_instance, write_instance
from tests.validate.reference import deidentify


def pixel_findings(
    folder: Path, recipe: Recipe, syntax: UID, change: object = None
) -> list[Finding]:
    """De-identify, then write the output's pixels in another syntax; give what is found of them."""
    source = write_instance(folder / "source.dcm", make_instance(rows=64))
    target = deidentify(source, folder / "target.dcm", recipe)
    output = dcmread(target)
    if change is not None:
        pixels = output.pixel_array.copy()
        pixels[0, 0] ^= change
        output.PixelData = pixels.tobytes()
    if syntax != ExplicitVRLittleEndian:
        output.compress(syntax, generate_instance_uid=False)
    output.save_as(target)
    found = validate(source, target, recipe).findings
    return [finding for finding in found if finding.check == "pixels"]


@pytest.mark.parametrize("syntax", [JPEGLSLossless, RLELossless])
def test_a_transcoded_picture_is_compared_decoded(
    tmp_path: Path, basic: Recipe, syntax: UID
) -> None:
    """Equal pixels pass; one pixel off does not."""
    assert pixel_findings(tmp_path, basic, syntax) == []
    (finding,) = pixel_findings(tmp_path, basic, syntax, change=1)
    assert "decoded" in finding.explanation


def test_an_encoder_s_comment_is_seen_in_a_transcoded_picture(
    tmp_path: Path, basic: Recipe
) -> None:
    """OpenJPEG signs its codestreams; what is transcoded must not keep even that."""
    (finding,) = pixel_findings(tmp_path, basic, JPEG2000Lossless)
    assert "comment" in finding.explanation


def test_one_pixel_off_is_seen(tmp_path: Path, basic: Recipe) -> None:
    """Native data is compared byte by byte."""
    assert pixel_findings(tmp_path, basic, ExplicitVRLittleEndian) == []
    assert pixel_findings(tmp_path, basic, ExplicitVRLittleEndian, change=1)


@pytest.mark.parametrize("rows", [1, 3, 16, 300])
@pytest.mark.parametrize("bits", [8, 16])
def test_sizes_of_every_parity(tmp_path: Path, basic: Recipe, rows: int, bits: int) -> None:
    """Odd lengths have one zero byte of padding and pass."""
    dataset = make_instance(rows=rows)
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    data = np.random.default_rng(rows).integers(0, 255, rows * rows * bits // 8, np.uint8).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    source = write_instance(tmp_path / "source.dcm", dataset)
    target = deidentify(source, tmp_path / "target.dcm", basic)
    assert validate(source, target, basic).findings == ()


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_stripping_leaves_the_picture(syntax: UID) -> None:
    """Without its comments a codestream still decodes to the same pixels."""
    dataset = make_instance(rows=64)
    before = dataset.pixel_array.copy()
    dataset.compress(syntax, generate_instance_uid=False)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    stripped = strip(frame)
    assert remarks(stripped) == ""
    dataset.PixelData = encapsulate([stripped])
    dataset["PixelData"].is_undefined_length = True
    dataset._pixel_array = None
    assert np.array_equal(dataset.pixel_array, before)


def test_many_frames_each_in_its_fragments(tmp_path: Path, basic: Recipe) -> None:
    """Frames in one fragment each, or several: the codestreams are compared frame by frame."""
    dataset = make_instance(rows=64)
    dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.NumberOfFrames = 3
    for fragments in (1, 2):
        dataset.PixelData = encapsulate([frame] * 3, fragments_per_frame=fragments)
        dataset["PixelData"].is_undefined_length = True
        source = write_instance(tmp_path / f"{fragments}.dcm", dataset)
        target = deidentify(source, tmp_path / f"out{fragments}.dcm", basic)
        assert validate(source, target, basic).findings == ()
