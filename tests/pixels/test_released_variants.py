"""From an arrived file to a signed variant that forward chooses: the real engine and validator."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import FileDataset, dcmread
from pydicom.encaps import encapsulate

from node.forward.discovery import choose
from node.outbox.manifest import Manifest, read_manifest
from node.pixels.transcode import transcode
from node.process import worker
from node.process.messages import Deidentify, FileReference, Held, Ready
from node.process.workplace import Workplace
from node.profile import load_profile
from node.profile.pixel_rules import PixelAction
from node.profile.recipe import Recipe
from node.validate import Severity
from tests.factories import identifiers, make_instance, write_instance
from tests.pixels.images import EXPLICIT, JPEG_2000, JPEG_LS, RLE, carried, make_frames
from tests.process.conftest import Door

MakeDoor = Callable[..., Door]


@pytest.fixture
def make_door(tmp_path: Path) -> Iterator[MakeDoor]:
    """Make a node that has one folder per list of syntaxes."""
    doors: list[Door] = []

    def make(*wishes: tuple[str, ...]) -> Door:
        destinations: list[dict[str, Any]] = [
            {"type": "folder", "name": f"to{n}", "path": str(tmp_path / f"to{n}"), "syntaxes": wish}
            for n, wish in enumerate(wishes)
        ]
        doors.append(Door(tmp_path / "node", destinations=destinations))
        return doors[-1]

    yield make
    for door in doors:
        door.close()


@pytest.fixture
def recipe() -> Recipe:
    """Give a recipe of the research profile."""
    return Recipe(load_profile("basic"), b"k" * 32)


def released(door: Door) -> Manifest:
    """Read the only release's manifest."""
    (name,) = door.releases()
    return read_manifest(door.outbox.releases / name, door.place.signing_key.public_key())


def treat(folder: Path, dataset: FileDataset, recipe: Recipe, *wishes: tuple[str, ...]) -> Any:
    """Treat one file as a worker does."""
    source = write_instance(folder / "source.dcm", dataset)
    staging = folder / "staging"
    staging.mkdir(exist_ok=True)
    file = FileReference("a-000001", source, staging / "a-000001.dcm")
    return worker.treat(Deidentify(1, recipe, (file,), wishes)).outcomes[0]


def test_a_particular_destination_gets_a_variant_with_a_digest_of_its_own(
    make_door: MakeDoor,
) -> None:
    """Both files are in the signed manifest; each destination is given the one it takes."""
    door = make_door((), (RLE,), (JPEG_LS, EXPLICIT))
    door.arrive(*(make_instance(instance=number, rows=32) for number in (1, 2)))
    door.settle()
    manifest = released(door)
    assert (manifest.totals["instances"], manifest.totals["files"]) == (2, 4)
    folder = door.outbox.releases / manifest.release
    for entry in manifest.instances:
        content = (folder / entry.file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry.sha256
        assert len(content) == entry.bytes
        assert dcmread(folder / entry.file).file_meta.TransferSyntaxUID == entry.transfer_syntax_uid
    plain, particular = choose(manifest, ()), choose(manifest, (RLE,))
    assert {entry.variant for entry in plain} == {""}
    assert {entry.variant for entry in particular} == {RLE}
    assert choose(manifest, (JPEG_LS, EXPLICIT)) == plain
    for one, other in zip(plain, particular, strict=True):
        assert np.array_equal(
            dcmread(folder / one.file).pixel_array, dcmread(folder / other.file).pixel_array
        )
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o440
        assert not any(text.encode() in path.read_bytes() for text in identifiers())


def test_nothing_lies_twice_for_a_destination_that_takes_it_as_it_is(make_door: MakeDoor) -> None:
    """A list that holds the instance's own syntax asks for nothing."""
    door = make_door((JPEG_LS, EXPLICIT))
    door.arrive(make_instance())
    door.settle()
    assert [entry.variant for entry in released(door).instances] == [""]


def test_what_cannot_be_transcoded_holds_the_study_and_the_cure_lets_it_go(
    make_door: MakeDoor, tmp_path: Path
) -> None:
    """A report cannot be RLE; once the destination's list has a native syntax it leaves."""
    report = make_instance()
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(report, keyword)
    door = make_door((RLE,))
    door.arrive(report, make_instance(instance=2))
    door.settle()
    study = door.study()
    assert (study.state, door.releases()) == ("HELD", [])
    assert "it has no pixel data to compress" in study.reason
    assert EXPLICIT in study.reason
    cured = {"type": "folder", "name": "to0", "path": str(tmp_path), "syntaxes": [RLE, EXPLICIT]}
    door.restart(destinations=[cured], completion={"quiet_seconds": 10, "max_seconds": 1000})
    door.decide("requeue", study.study)
    door.settle()
    assert door.study().state == "RELEASED", door.study().reason
    taken = choose(released(door), (RLE, EXPLICIT))
    assert {entry.transfer_syntax_uid for entry in taken} <= {RLE, EXPLICIT}


def test_a_variant_that_is_lost_from_staging_is_made_anew(
    make_door: MakeDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows never outweigh files, of variants neither."""
    door = make_door((RLE,))
    door.arrive(make_instance())
    from node.process import closing  # noqa: PLC0415 -- to break it on purpose

    lost: list[Path] = []
    honest = closing._make_lost_files_anew

    def lose_once(place: Workplace, *rest: Any) -> bool:
        if not lost:
            (path,) = place.outbox.staging.rglob("*_*.dcm")
            path.unlink()
            lost.append(path)
        return honest(place, *rest)

    monkeypatch.setattr(closing, "_make_lost_files_anew", lose_once)
    door.settle()
    assert lost
    assert [entry.variant for entry in released(door).instances] == ["", RLE]


def test_uids_that_are_retained_show_in_no_variant_s_name(tmp_path: Path) -> None:
    """Under retain-uids a variant is named by our id, as its instance is."""
    profile = tmp_path / "keep.toml"
    profile.write_text('base = "basic"\noptions = ["retain-uids"]\n')
    target = {"type": "folder", "name": "to0", "path": str(tmp_path / "to"), "syntaxes": [RLE]}
    door = Door(
        tmp_path / "node",
        destinations=[target],
        routes=[{"name": "all", "profile": str(profile), "destinations": ["to0"]}],
    )
    dataset = make_instance()
    try:
        door.arrive(dataset)
        door.settle()
        manifest = released(door)
    finally:
        door.close()
    assert [entry.variant for entry in manifest.instances] == ["", RLE]
    assert not any(dataset.SOPInstanceUID in entry.file for entry in manifest.instances)


def test_a_variant_is_proven_like_its_instance(
    tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transcoder that changes one sample is found out, and the finding says in which variant."""

    def careless(path: Path, own: str, wishes: Any) -> Any:
        made = honest(path, own, wishes)
        dataset = dcmread(made[0].path)
        pixels = dataset.pixel_array.copy()
        pixels[0, 0] ^= 1
        native = tmp_path / "native.dcm"
        dataset.decompress(generate_instance_uid=False)
        dataset.PixelData = pixels.tobytes()
        dataset.save_as(native)
        made[0].path.unlink()
        transcode(native, made[0].path, RLE)
        return made

    honest = worker.make_variants
    monkeypatch.setattr(worker, "make_variants", careless)
    outcome = treat(tmp_path, make_instance(), recipe, (RLE,))
    assert isinstance(outcome, Ready)
    (finding,) = [one for one in outcome.verdict.findings if one.severity is Severity.INVALID]
    assert finding.explanation == "As RLE Lossless: Transcoded, and the decoded pixels differ."


@pytest.mark.parametrize("syntax", [RLE, JPEG_LS, JPEG_2000])
@pytest.mark.parametrize(("colours", "bits"), [(1, 8), (1, 16), (3, 8)])
def test_the_validator_has_nothing_against_what_we_transcode(
    tmp_path: Path, recipe: Recipe, syntax: str, colours: int, bits: int
) -> None:
    """Every check passes for native frames compressed."""
    profile = replace(recipe.profile, pixels=dict.fromkeys(recipe.profile.pixels, PixelAction.PASS))
    frames = make_frames(3, rows=65, colours=colours, bits=bits)
    outcome = treat(tmp_path, frames, replace(recipe, profile=profile), (syntax,))
    assert isinstance(outcome, Ready)
    assert not outcome.verdict.findings
    assert [one.syntax for one in outcome.variants] == [syntax]


@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "JPEG2000.dcm", "693_J2KI.dcm"]
)
def test_the_validator_has_nothing_against_what_we_decode(
    tmp_path: Path, recipe: Recipe, name: str
) -> None:
    """Every check passes for compressed pixels made native, lossy ones too."""
    profile = replace(recipe.profile, pixels=dict.fromkeys(recipe.profile.pixels, PixelAction.PASS))
    source = dcmread(carried(name))
    known = treat(tmp_path, source, replace(recipe, profile=profile))
    outcome = treat(tmp_path, source, replace(recipe, profile=profile), (EXPLICIT,))
    assert isinstance(outcome, Ready)
    assert outcome.verdict.findings == known.verdict.findings
    assert [one.syntax for one in outcome.variants] == [EXPLICIT]


def test_a_held_instance_leaves_no_file(tmp_path: Path, recipe: Recipe) -> None:
    """Nor does what a killed worker left of a variant."""
    dataset = make_instance()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging" / f"a-000001_{RLE}.dcm").write_bytes(b"half")
    outcome = treat(tmp_path, dataset, recipe, (EXPLICIT,))
    assert isinstance(outcome, Held)
    assert "decoder" in outcome.reason
    assert list((tmp_path / "staging").iterdir()) == []
