"""`python -m tools.midi FOLDER`: de-identify a folder's files, score them, tell it per category."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from node.deid import Held, Quarantined, deidentify
from node.profile import Recipe, load_profile
from tools.midi.checks import Check, Score, score
from tools.midi.key import key_of

#: The score needs some key, and no pseudonym outlives the run.
THROWAWAY = bytes(range(32))


def score_files(sources: list[Path], recipe: Recipe, workspace: Path) -> dict[str, Score]:
    """De-identify each file into the workspace and score it; a quarantined one is missing.

    A file without a SOP Instance UID or SOP Class UID is no instance and has no key.
    """
    key: list[tuple[str, list[Check]]] = []
    outputs: dict[str, Dataset] = {}
    for number, source in enumerate(sources):
        original = dcmread(source, force=True)
        if "SOPInstanceUID" not in original or "SOPClassUID" not in original:
            continue
        key.append((str(number), key_of(original, recipe.profile.options)))
        target = workspace / f"{number:06d}.dcm"
        try:
            deidentify(source, target, recipe)
        except (Quarantined, Held):
            continue
        outputs[str(number)] = dcmread(target)
    return score(key, outputs)


def tell(scores: dict[str, Score]) -> str:
    """Lay the scores out as a table, with the share of checks that passed."""
    lines = [f"{'category':24}{'passed':>9}{'checks':>9}{'share':>10}"]
    for category, found in scores.items():
        share = found.passed / found.total
        lines.append(f"{category:24}{found.passed:9}{found.total:9}{share:10.2%}")
    passed, total = (sum(getattr(s, name) for s in scores.values()) for name in ("passed", "total"))
    lines.append(f"{'all':24}{passed:9}{total:9}{passed / max(total, 1):10.2%}")
    return "\n".join(lines)


def main() -> int:
    """Run over a folder; 1 if any check failed."""
    parser = argparse.ArgumentParser(prog="tools.midi", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--profile", default="research")
    parser.add_argument("--failed", action="store_true", help="name the failed checks' attributes")
    given = parser.parse_args()
    recipe = Recipe(load_profile(given.profile), THROWAWAY)
    with tempfile.TemporaryDirectory() as workspace:
        sources = sorted(path for path in given.folder.rglob("*") if path.is_file())
        scores = score_files(sources, recipe, Path(workspace))
    print(tell(scores))
    for found in scores.values() if given.failed else ():
        for check in found.failed:
            print(check.action, " ".join(f"{part:08X}" for part in check.path))
    return int(any(found.failed for found in scores.values()))


if __name__ == "__main__":
    sys.exit(main())
