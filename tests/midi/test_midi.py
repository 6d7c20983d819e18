"""The MIDI-B style score: 100 % of a key built from PS3.15, and a checker that can tell failure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.profile import Option, Recipe, load_profile
from tests.midi.studies import planted_instance, write_studies
from tools.midi.__main__ import THROWAWAY, score_files, tell
from tools.midi.checks import Action, Check, Ledger, passes, score
from tools.midi.key import key_of

RESEARCH = load_profile("research")


def test_research_reaches_every_point_of_the_key(tmp_path: Path) -> None:
    """Each category of MIDI-B but the ones that read pixels, and no check fails."""
    sources = write_studies(tmp_path / "in")
    (tmp_path / "out").mkdir()
    scores = score_files(sources, Recipe(RESEARCH, THROWAWAY), tmp_path / "out")
    failed = {name: found.failed for name, found in scores.items() if found.failed}
    assert not failed
    assert tell(scores).endswith("100.00%")
    assert scores.keys() >= {
        "HIPAA-A", "HIPAA-B", "HIPAA-C", "HIPAA-D", "HIPAA-H", "HIPAA-R", "DICOM-IOD-1",
        "DICOM-IOD-2", "DICOM-P15-BASIC-C", "DICOM-P15-BASIC-U", "DICOM-P15-BASIC-X",
        "TCIA-P15-CLEAN", "TCIA-P15-KEEP", "TCIA-P15-PIX-K", "TCIA-PTKB-K", "TCIA-PTKB-X",
    }  # fmt: skip
    assert sum(found.total for found in scores.values()) > 1500


def test_basic_reaches_every_point_of_its_own_key(tmp_path: Path) -> None:
    """With no option the key asks dates and descriptions to be gone."""
    sources = write_studies(tmp_path / "in")
    (tmp_path / "out").mkdir()
    scores = score_files(sources, Recipe(load_profile("basic"), THROWAWAY), tmp_path / "out")
    assert not {name: found.failed for name, found in scores.items() if found.failed}


def test_the_original_itself_fails_wherever_something_must_go(tmp_path: Path) -> None:
    """A tool that copies scores only what asks for presence."""
    originals = [dcmread(path) for path in write_studies(tmp_path)]
    key = [(str(item.SOPInstanceUID), key_of(item, RESEARCH.options)) for item in originals]
    scores = score(key, {str(item.SOPInstanceUID): item for item in originals})
    for category in ("HIPAA-A", "HIPAA-B", "HIPAA-C", "HIPAA-D", "HIPAA-H", "HIPAA-R"):
        assert scores[category].passed == 0, category
    assert not scores["TCIA-P15-KEEP"].failed


def test_an_instance_that_is_missing_fails_what_asks_for_presence() -> None:
    """As in MIDI-B: removal and change pass, the rest does not."""
    original = planted_instance(1, 1, "CT", 1)
    key = key_of(original, RESEARCH.options)
    scores = score([("1.2.3", key)], {})
    assert not scores["HIPAA-R"].failed
    assert scores["TCIA-P15-KEEP"].passed == 0
    assert scores["DICOM-P15-BASIC-U"].passed == 0


def _as_it_is(_: Dataset) -> None:
    """Leave it."""


@pytest.mark.parametrize(
    ("action", "value", "before", "after"),
    [
        (Action.TAG_RETAINED, "", _as_it_is, lambda d: delattr(d, "StudyID")),
        (Action.TEXT_NOTNULL, "", _as_it_is, lambda d: setattr(d, "StudyID", "")),
        (Action.TEXT_RETAINED, "S1 X", lambda d: setattr(d, "StudyID", "x S1"), _as_it_is),
        (
            Action.TEXT_REMOVED,
            "S1",
            lambda d: setattr(d, "StudyID", "S12"),
            lambda d: setattr(d, "StudyID", "a s1"),
        ),
    ],
)
def test_a_text_rule_passes_and_fails(
    action: Action,
    value: str,
    before: Callable[[Dataset], None],
    after: Callable[[Dataset], None],
) -> None:
    """Presence, a value, all words, no word; whole words only."""
    dataset = planted_instance(1, 1, "CT", 1)
    check = Check(action, (0x00200010,), value, "X")
    before(dataset)
    assert passes(check, dataset, Ledger())
    dataset = planted_instance(1, 1, "CT", 1)
    after(dataset)
    assert not passes(check, dataset, Ledger())


def dated(text: str) -> Dataset:
    """Give a data set with a study date."""
    dataset = Dataset()
    dataset.StudyDate = text
    return dataset


def test_dates_must_move_by_the_patients_own_days() -> None:
    """MIDI-B passes any other date; here the second must lie as far away as the first."""
    ledger = Ledger()
    first = Check(Action.DATE_SHIFTED, (0x00080020,), "20200704", "HIPAA-C", "P1")
    second = Check(Action.DATE_SHIFTED, (0x00080020,), "20200714", "HIPAA-C", "P1")
    other = Check(Action.DATE_SHIFTED, (0x00080020,), "20200714", "HIPAA-C", "P2")
    assert not passes(first, dated("20200704"), ledger)
    assert passes(first, dated("20200702"), ledger)
    assert passes(second, dated("20200712"), ledger)
    assert not passes(second, dated("20200713"), ledger)
    assert passes(other, dated("20200713"), ledger)


def test_uids_must_map_one_to_one() -> None:
    """One original with two stand-ins, and two with one, both fail."""
    ledger = Ledger()

    def check(old: str, new: str) -> bool:
        dataset = Dataset()
        dataset.StudyInstanceUID = new
        return passes(Check(Action.UID_CONSISTENT, (0x0020000D,), old, "X"), dataset, ledger)

    assert check("1.2.1", "2.25.1")
    assert check("1.2.1", "2.25.1")
    assert not check("1.2.1", "2.25.2")
    assert not check("1.2.2", "2.25.1")


def test_pixels_must_be_the_same_bytes() -> None:
    """One byte differs, and the check fails."""
    dataset = Dataset()
    dataset.PixelData = b"\1\2"
    assert passes(Check(Action.PIXELS_RETAINED, (0x7FE00010,), "0102", "X"), dataset, Ledger())
    assert not passes(Check(Action.PIXELS_RETAINED, (0x7FE00010,), "0103", "X"), dataset, Ledger())


def test_the_key_follows_the_options() -> None:
    """A study date is asked to be shifted, kept or gone by the date option."""
    original = planted_instance(1, 1, "CT", 1)

    def asked(*options: Option) -> set[Action]:
        return {
            check.action
            for check in key_of(original, options)
            if check.path == (0x00080020,) and check.action is not Action.TAG_RETAINED
        }

    assert asked() == {Action.TEXT_REMOVED}
    assert asked(Option.RETAIN_LONGITUDINAL_FULL_DATES) == {Action.TEXT_RETAINED}
    assert asked(Option.RETAIN_LONGITUDINAL_MODIFIED_DATES) == {Action.DATE_SHIFTED}
