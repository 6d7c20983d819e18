"""Files that others made: every one is de-identified without a trace, or stopped with a reason.

Needs the folder that DEID_NODE_CORPUS names: `real/` (files of public projects), `planted/` and its
`planted.json` (what must vanish, what must stay). Pydicom's own files are tried anywhere.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from node.deid import Held, Quarantined, deidentify
from node.profile.load import load_profile
from node.profile.recipe import Recipe
from tests.conftest import BUNDLED
from tests.deid import kit

CORPUS = Path(os.environ.get("DEID_NODE_CORPUS") or "absent")
PROFILES = ["basic", "research"]
DCIODVFY = Path(sys.executable).parent / "dciodvfy"

#: Errors of dciodvfy that the input did not have, and why the output may.
JUSTIFIED = {
    "Required to be SLIDE_CORNER": "Position Reference Indicator is free text in no table: emptied",
    "ReferencedSeriesSequence present but": "a Type 3 sequence alone referred to what it lists",
    "Missing attribute Type": "dciodvfy does not look into a deflated or big endian input",
}


def recipe_of(profile: str) -> Recipe:
    """Give a shipped profile's recipe."""
    return Recipe(load_profile(profile), kit.KEY)


def files(folder: Path) -> list[Path]:
    """Give the instances of a folder, in order."""
    return sorted(
        path for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".csv", ".json", ".md", ".txt", ".py")
    )  # fmt: skip


def identifying_words(dataset: Dataset) -> Iterator[str]:
    """Give what an instance says of its patient, place and time, if long enough to find."""
    for keyword in (
        "PatientName", "PatientID", "AccessionNumber", "InstitutionName", "ReferringPhysicianName",
        "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID",
        "StudyDate", "PatientBirthDate", "OperatorsName", "PerformingPhysicianName",
        "PatientAddress", "StationName", "DeviceSerialNumber", "InstitutionAddress",
        "RequestingPhysician",
    ):  # fmt: skip
        values = dataset.get(keyword) or ""
        for value in values if isinstance(values, MultiValue) else [values]:
            text = str(value).strip()
            if len(text) >= 6 and not text.startswith("1.2.840.10008."):
                yield text


@pytest.mark.corpus
@pytest.mark.parametrize("profile", PROFILES)
def test_no_planted_string_is_left_and_what_must_stay_stays(profile: str, tmp_path: Path) -> None:
    """Nothing planted under either profile, but what the research profile's options retain."""
    retained = {"CT-GRIMS-2", "SN-448812", "1.2.826.0.1.3680043.9.9999.90"}  # the device's identity
    left: dict[str, list[str]] = {}
    for name, facts in json.loads((CORPUS / "planted" / "planted.json").read_text()).items():
        target = tmp_path / name
        deidentify(CORPUS / "planted" / name, target, recipe_of(profile))
        content = target.read_bytes()
        seen = content.decode("latin-1") + str(dcmread(target))
        found = [text for text in facts["planted"] if text in seen]
        if profile == "research":
            found = [text for text in found if text not in retained]
            found += [f"lost {text}" for text in facts["must_keep"] if text not in seen]
        if found:
            left[name] = found
    assert not left


@pytest.mark.corpus
@pytest.mark.parametrize("profile", PROFILES)
def test_real_files_leave_no_identifier_or_are_stopped(profile: str, tmp_path: Path) -> None:
    """No identifier of its own is in any output; every stop has a reason in words."""
    how = recipe_of(profile)
    outcomes: Counter[str] = Counter()
    left: dict[str, list[str]] = {}
    for source in files(CORPUS / "real"):
        target = tmp_path / "target.dcm"
        target.unlink(missing_ok=True)
        try:
            deidentify(source, target, how)
        except (Quarantined, Held) as stopped:
            outcomes[stopped.reason] += 1
            continue
        outcomes["de-identified"] += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            before, after = dcmread(source, force=True), dcmread(target)
            shown = str(after)
            words = set(identifying_words(before))
            kept = {
                text
                for text in words
                if profile == "research"
                and text in (str(before.get("StationName")), str(before.get("DeviceSerialNumber")))
            }
            content = target.read_bytes()
        head = content[: len(content) - len(after.get("PixelData", b""))].decode("latin-1")
        found = [text for text in words - kept if text in head or text in shown]
        if found:
            left[str(source.relative_to(CORPUS))] = found
    assert not left
    assert outcomes["de-identified"] > 300, outcomes


@pytest.mark.corpus
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("profile", PROFILES)
def test_dciodvfy_finds_no_new_error(profile: str, tmp_path: Path) -> None:
    """The output is as valid as the input, but for the exceptions listed above."""
    new: dict[str, set[str]] = {}
    for source in files(CORPUS):
        target = tmp_path / "target.dcm"
        target.unlink(missing_ok=True)
        try:
            deidentify(source, target, recipe_of(profile))
        except (Quarantined, Held):
            continue
        more = errors(target) - errors(source)
        more = {each for each in more if not any(reason in each for reason in JUSTIFIED)}
        if more:
            new[source.name] = more
    assert not new


def errors(path: Path) -> set[str]:
    """Give dciodvfy's errors, without the values that it quotes and the items that it counts."""
    run = subprocess.run(
        [DCIODVFY, path], capture_output=True, text=True, errors="replace", timeout=100, check=False
    )
    lines = (run.stderr + run.stdout).splitlines()
    return {
        re.sub(r"<[^>]*>|'[^']*'|= *\S+|\[\d+\]", "", line)
        for line in lines if line.startswith("Error")
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # pydicom warns of its own files
def test_pydicoms_files_come_out_readable_and_free_of_their_identifiers(tmp_path: Path) -> None:
    """Files with every oddity that pydicom has met; those without a Patient ID get one first."""
    done = 0
    for source in files(BUNDLED):
        before = dcmread(source, force=True)
        target = tmp_path / "target.dcm"
        target.unlink(missing_ok=True)
        try:
            deidentify(source, target, recipe_of("basic"))
        except (Quarantined, Held):
            continue
        after = dcmread(target)
        content = target.read_bytes()
        head = content[: len(content) - len(after.get("PixelData", b""))].decode("latin-1")
        assert not [text for text in identifying_words(before) if text in head], source.name
        assert after.SOPClassUID == before.SOPClassUID
        assert after.get("Rows") == before.get("Rows")
        done += 1
    assert done > 40
    shutil.rmtree(tmp_path)
