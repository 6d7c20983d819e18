"""The same file, profile and key give the same bytes, in every release of the software.

What an instance becomes was sent under a UID that says so. Other bytes under that UID are another
version, which destinations refuse; so a change of the output is told by `METHOD_VERSION`. After
raising it, `python -m tests.deid.test_golden EMPTY_FOLDER` writes the digests anew.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

from node.deid import deidentify
from node.profile.load import load_profile
from node.profile.recipe import METHOD_VERSION, Recipe
from tests.deid import kit

GOLDEN = Path(__file__).parent / "golden"
DIGESTS = GOLDEN / "digests.json"
SOURCES = sorted(GOLDEN.glob("*.dcm"))
PROFILES = ["basic", "research"]


def digest_of(folder: Path, source: Path, profile: str) -> str:
    """De-identify a source and give the output's SHA-256."""
    target = folder / f"{profile}-{source.name}"
    deidentify(source, target, Recipe(load_profile(profile), kit.KEY, assume_charset="ISO_IR 100"))
    return hashlib.sha256(target.read_bytes()).hexdigest()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_output_is_the_one_of_this_version(source: Path, profile: str, tmp_path: Path) -> None:
    """Other bytes need another METHOD_VERSION, and that new digests and a line in the changelog."""
    told = json.loads(DIGESTS.read_text())
    assert told["method_version"] == METHOD_VERSION
    assert digest_of(tmp_path, source, profile) == told[profile][source.stem]


def main(folder: Path) -> None:
    """Write the digests of this version."""
    told: dict[str, object] = {"method_version": METHOD_VERSION}
    for profile in PROFILES:
        told[profile] = {path.stem: digest_of(folder, path, profile) for path in SOURCES}
    DIGESTS.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
