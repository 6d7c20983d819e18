"""The demo shows the main job, and cannot show what did not happen."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node.demo.outcome import check
from node.demo.patients import Study, make_studies, planted
from node.demo.place import MARK, Place, make_place

#: What a status says when all went well.
WELL = {"conservation": {"held": 1}}


@pytest.fixture(name="studies", scope="module")
def _studies() -> tuple[Study, ...]:
    return make_studies()


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Place:
    return Place(tmp_path, 1, 2, 3)


def deliver(place: Place, count: int, content: bytes = b"an image") -> None:
    """Put so many files where the research PACS keeps them."""
    place.pacs.mkdir()
    for number in range(count):
        (place.pacs / f"{number}.dcm").write_bytes(content)


def test_three_studies_are_sent_and_one_must_be_held(studies: tuple[Study, ...]) -> None:
    """A CT of 48 slices, an MR of 24, and a secondary capture that says it is burned in."""
    assert [len(study.instances) for study in studies] == [48, 24, 1]
    assert [study.must_be_held for study in studies] == [False, False, True]
    capture: Dataset = studies[2].instances[0]
    assert capture.BurnedInAnnotation == "YES"


def test_every_original_uid_and_name_counts_as_planted(studies: tuple[Study, ...]) -> None:
    """The search at the PACS looks for each of them."""
    strings = planted(studies[0])
    assert b"Marigold" in strings
    assert all(image.SOPInstanceUID.encode() in strings for image in studies[0].instances)
    assert all(len(string) >= 6 for string in strings)


def test_the_demo_is_content_with_exactly_what_should_arrive(
    place: Place, studies: tuple[Study, ...]
) -> None:
    """72 files without an identifier, one instance held."""
    deliver(place, 72)
    assert check(place, studies, WELL) == []


@pytest.mark.parametrize(
    ("count", "content", "held", "complaint"),
    [
        (71, b"an image", 1, "71 instances are at the research PACS; 72 should be"),
        (73, b"an image", 1, "73 instances"),
        (72, b"... Ottoline ...", 1, "hold an original identifier"),
        (72, b"an image", 0, "0 instances are held; 1 should be"),
    ],
)
def test_the_demo_fails_when_anything_is_amiss(
    place: Place, studies: tuple[Study, ...], count: int, content: bytes, held: int, complaint: str
) -> None:
    """Missing, doubled, leaked, or not held."""
    deliver(place, count, content)
    (wrong,) = check(place, studies, {"conservation": {"held": held}})
    assert complaint in wrong


def test_the_demo_empties_only_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that happens to have the same name is left alone."""
    monkeypatch.chdir(tmp_path)
    own = make_place().folder
    assert own == tmp_path / "demo-data"
    (own / "left over").touch()
    assert make_place().folder == own
    assert not (own / "left over").exists()
    (own / MARK).unlink()
    (own / "precious").touch()
    elsewhere = make_place().folder
    assert elsewhere != own
    assert (own / "precious").exists()


@pytest.mark.acceptance
def test_the_demo_runs_and_says_what_happened(tmp_path: Path) -> None:
    """The real command in an empty folder: exit 0, and the summary names what there is to see."""
    done = subprocess.run(
        [sys.executable, "-m", "node", "demo"],
        cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for text in (
        "received 73 instances of 3 studies, released 72, held 1",
        "burned-in-annotation",
        "at the research PACS: 72 files",
        "Marigold^Ottoline",
        "held show",
        str(tmp_path / "demo-data" / "node.log"),
    ):
        assert text in done.stdout
    log = (tmp_path / "demo-data" / "node.log").read_text()
    assert "Marigold" not in log
    assert "Traceback" not in log


@pytest.mark.acceptance
def test_a_demo_that_is_stopped_leaves_nothing_running(tmp_path: Path) -> None:
    """SIGTERM ends its node too, and nobody listens on the ports any more."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "node", "demo", "--keep"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    log = tmp_path / "demo-data" / "node.log"
    deadline = time.monotonic() + 120
    while not (log.exists() and "listener_opened" in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    demo.send_signal(signal.SIGTERM)
    told, _ = demo.communicate(timeout=100)
    assert demo.returncode == 1
    assert "Traceback" not in told
    stopped = [line for line in log.read_text().splitlines() if '"role_stopped"' in line]
    assert any('"role": "run"' in line for line in stopped)
