"""Video is one stream for all its frames, and may carry more than pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from node.deid import deidentify
from node.profile.recipe import Recipe
from node.validate import Verdict, validate
from tests.factories import make_instance

ENDOSCOPY = UID("1.2.840.10008.5.1.4.1.1.77.1.1.1")
MPEG_2, H_264, H_265 = (f"1.2.840.10008.1.2.4.{number}" for number in (100, 102, 107))
PICTURES = b"\0\0\x01\xb3" + bytes(range(1, 200)) * 20
TEXT = b"seen by somebody"


@pytest.fixture
def judged(tmp_path: Path, basic: Recipe) -> Callable[[str, bytes], Verdict]:
    """De-identify and validate a video of thirty frames."""

    def judge(syntax: str, stream: bytes) -> Verdict:
        dataset = make_instance()
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ENDOSCOPY
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
        dataset.NumberOfFrames, dataset.SamplesPerPixel, dataset.PlanarConfiguration = 30, 3, 0
        dataset.PhotometricInterpretation = "YBR_PARTIAL_420"
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
        dataset.PixelData = encapsulate([stream], has_bot=False)
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        source, output = tmp_path / "source.dcm", tmp_path / "output.dcm"
        dataset.save_as(source, enforce_file_format=True)
        deidentify(source, output, basic)
        return validate(source, output, basic)

    return judge


@pytest.mark.parametrize("syntax", [MPEG_2, H_264, H_265])
def test_one_stream_is_all_frames(judged: Callable[..., Verdict], syntax: str) -> None:
    """Only the profile's rules for video and endoscopy hold it."""
    assert {one.check for one in judged(syntax, PICTURES).findings} == {"pixel-risk"}


@pytest.mark.parametrize(
    ("syntax", "carried"),
    [
        (MPEG_2, b"\0\0\x01\xb2" + TEXT),
        (H_264, b"\0\0\x01\x06\x05" + bytes([len(TEXT)]) + TEXT + b"\x80"),
        (H_264, b"\0\0\x01\x06\x01\x02ab\x05" + bytes([len(TEXT)]) + TEXT + b"\x80"),
        (H_265, b"\0\0\x01\x4e\x01\x04" + bytes([len(TEXT)]) + TEXT + b"\x80"),
        (H_264, b"\0\0\0\x18udta" + TEXT),
    ],
)
def test_user_data_among_the_pictures_is_told(
    judged: Callable[..., Verdict], syntax: str, carried: bytes
) -> None:
    """What nobody reads, nobody lets pass unseen."""
    findings = judged(syntax, PICTURES + carried).findings
    assert any("user data" in one.explanation for one in findings if one.check == "pixels")


def test_messages_that_only_tell_times_are_no_user_data(judged: Callable[..., Verdict]) -> None:
    """An encoder writes them for every picture."""
    times = b"\0\0\x01\x06\x01\x02ab\x80\0\0\x01\x06\x00\x03abc\x80"
    assert {one.check for one in judged(H_264, PICTURES + times).findings} == {"pixel-risk"}
