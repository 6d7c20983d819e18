"""The generator: run again, it writes what is committed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from node.profile.tables import DATA

TOOL = Path(__file__).parents[2] / "tools" / "build_profile_data.py"
BY_HAND = {"keep_list.json", "vocabulary.txt", "also_names.txt"}


@pytest.fixture
def generator() -> ModuleType:
    """Load the tool as a module; tools/ is no package."""
    spec = importlib.util.spec_from_file_location("build_profile_data", TOOL)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_data_is_what_the_generator_writes(
    generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody edits a table by hand; whoever changes an input runs the tool."""
    for name in BY_HAND:
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    monkeypatch.setattr(generator, "DATA", tmp_path)
    generator.main()
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in DATA.iterdir()}
    for path in DATA.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name
