"""What the validator's tests share: recipes, and an instance with its de-identified file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset

from node.profile.load import load_profile
from node.profile.recipe import Recipe
from node.validate import Severity, Verdict, validate
from tests.factories import make_instance, write_instance
from tests.validate.reference import Engine, deidentify

KEY = bytes(range(32))
Prove = Callable[..., Verdict]


@pytest.fixture(scope="session")
def basic() -> Recipe:
    """Give the basic profile's recipe."""
    return Recipe(load_profile("basic"), KEY)


@pytest.fixture(scope="session")
def research() -> Recipe:
    """Give the research profile's recipe."""
    return Recipe(load_profile("research"), KEY)


@pytest.fixture
def prove(tmp_path: Path) -> Prove:
    """De-identify a data set with the reference engine, or a broken one, and validate."""

    def prove(
        recipe: Recipe,
        dataset: FileDataset | None = None,
        engine: type[Engine] = Engine,
        spoil: Callable[[Path], None] | None = None,
    ) -> Verdict:
        source = write_instance(tmp_path / "source.dcm", dataset or make_instance())
        target = tmp_path / "target.dcm"
        target.unlink(missing_ok=True)
        deidentify(source, target, recipe, engine)
        if spoil is not None:
            spoil(target)
        return validate(source, target, recipe)

    return prove


def severities(verdict: Verdict) -> set[Severity]:
    """Give the severities of a verdict's findings."""
    return {finding.severity for finding in verdict.findings}
