"""Which variants an instance gets, and why it gets none."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.pixels.transcode import CannotTranscode
from node.pixels.variants import make_variants, remove_variants
from tests.factories import make_instance, write_instance
from tests.pixels.images import BASELINE, EXPLICIT, IMPLICIT, JPEG_2000, JPEG_LS, RLE, carried


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Give a small native image."""
    return write_instance(tmp_path / "a-000001.dcm", make_instance(rows=64))


def syntaxes(image: Path, own: str, *wishes: tuple[str, ...]) -> list[str]:
    """Make variants and say in which syntaxes; each must be there."""
    made = make_variants(image, own, wishes)
    assert all(one.path.is_file() for one in made)
    return [one.syntax for one in made]


def test_a_destination_that_takes_the_file_as_it_is_needs_no_variant(image: Path) -> None:
    """Wherever in its list the file's own syntax stands; and an empty list takes anything."""
    assert syntaxes(image, EXPLICIT, (RLE, EXPLICIT), ()) == []


def test_the_first_that_fits_is_made(image: Path) -> None:
    """Lossy syntaxes are for what is in them already, so they are passed over."""
    assert syntaxes(image, EXPLICIT, (BASELINE, JPEG_LS, RLE)) == [JPEG_LS]


def test_what_does_not_fit_the_image_is_passed_over(tmp_path: Path) -> None:
    """32 bits fit neither RLE nor JPEG-LS."""
    image = tmp_path / "a.dcm"
    image.write_bytes(carried("rtdose_1frame.dcm").read_bytes())
    assert syntaxes(image, IMPLICIT, (RLE, JPEG_LS, EXPLICIT)) == [EXPLICIT]
    assert len(list(tmp_path.iterdir())) == 2


def test_two_destinations_share_a_variant(image: Path) -> None:
    """One file for all that want the same."""
    assert syntaxes(image, EXPLICIT, (RLE,), (RLE, JPEG_LS), (JPEG_2000,)) == [RLE, JPEG_2000]


@pytest.mark.parametrize(
    ("wished", "why"),
    [
        ((BASELINE,), "would lose something"),
        (("1.2.840.10008.1.2.4.201",), "do not write High-Throughput JPEG 2000"),
    ],
)
def test_a_wish_that_nobody_here_can_grant_is_refused_with_the_cure(
    image: Path, wished: tuple[str, ...], why: str
) -> None:
    """Which syntaxes to add where, and what to do then."""
    with pytest.raises(CannotTranscode, match=why) as refused:
        make_variants(image, EXPLICIT, [wished])
    assert f"takes its own ({EXPLICIT})" in str(refused.value)
    assert "requeue the study" in str(refused.value)


def test_each_failure_is_told(tmp_path: Path) -> None:
    """Where several were tried, each tells why it was not to be."""
    image = tmp_path / "a.dcm"
    image.write_bytes(carried("rtdose_1frame.dcm").read_bytes())
    with pytest.raises(CannotTranscode) as refused:
        make_variants(image, IMPLICIT, [(RLE, JPEG_LS)])
    assert "not to RLE Lossless" in str(refused.value)
    assert "not to JPEG-LS Lossless" in str(refused.value)
    assert EXPLICIT in str(refused.value)


def test_only_an_instance_s_own_variants_are_removed(image: Path) -> None:
    """Also those that a killed worker left half done."""
    make_variants(image, EXPLICIT, [(RLE,)])
    other = write_instance(image.with_name("a-000002_1.2.840.10008.1.2.5.dcm"), make_instance())
    remove_variants(image)
    assert sorted(image.parent.iterdir()) == [image, other]
