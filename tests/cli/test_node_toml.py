"""config/node.toml shows every key with its default and a line of comment, and nothing else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from node.config import (
    DestinationTls,
    DicomDestination,
    FolderDestination,
    NodeConfig,
    Peer,
    ReceiveTls,
    Route,
    StowDestination,
    WebTls,
    load_config,
)

FILE = Path(__file__).parents[2] / "config" / "node.toml"
EXAMPLE = re.compile(r"^# (?=\[|[a-z_0-9]+ = )", re.MULTILINE)
KEY = re.compile(r"^(?:# )?([a-z_0-9]+) = ")


def all_tables() -> dict[str, Any]:
    """Read the file with its examples switched on."""
    return tomllib.loads(EXAMPLE.sub("", FILE.read_text()))


def defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Give the keys of a section that have a default of their own."""
    fields = {name: field for name, field in model.model_fields.items() if not field.is_required()}
    return {name: field.get_default(call_default_factory=True) for name, field in fields.items()}


def test_the_shipped_file_is_the_default_configuration() -> None:
    """A node that reads config/node.toml unchanged behaves as one without any file."""
    assert load_config(FILE).model_dump() == NodeConfig().model_dump()


def test_the_examples_load_too() -> None:
    """Every example line, switched on, is a configuration without a mistake."""
    NodeConfig(**all_tables())


@pytest.mark.parametrize(
    ("table", "model"),
    [
        *[(name, field.annotation) for name, field in NodeConfig.model_fields.items()
          if name not in ("routes", "destinations")],
    ],
)  # fmt: skip
def test_every_key_of_a_section_is_shown_with_its_default(
    table: str, model: type[BaseModel]
) -> None:
    """No key of the code is missing from the file, and no value there is out of date."""
    shown = load_config(FILE).model_dump()[table]
    written = tomllib.loads(FILE.read_text())[table]
    nested = {"peers", "tls"}
    assert set(all_tables()[table]) - nested == set(model.model_fields) - nested
    default = NodeConfig().model_dump()[table]
    assert shown == default
    assert set(written) >= {key for key in default if default[key] not in (None, (), [])} - nested


@pytest.mark.parametrize(
    ("pick", "model", "left_out"),
    [
        (lambda t: t["receive"]["peers"][0], Peer, set()),
        (lambda t: t["receive"]["tls"], ReceiveTls, set()),
        (lambda t: t["web"]["tls"], WebTls, set()),
        (lambda t: t["routes"][0], Route, set()),
        (lambda t: t["destinations"][0], DicomDestination, set()),
        (lambda t: t["destinations"][0]["tls"], DestinationTls, set()),
        (lambda t: t["destinations"][1], StowDestination, set()),
        (lambda t: t["destinations"][2], FolderDestination, set()),
    ],
)
def test_every_key_of_an_example_table_is_shown(
    pick: Any, model: type[BaseModel], left_out: set[str]
) -> None:
    """The examples of lists name every key that the code knows."""
    assert set(pick(all_tables())) == set(model.model_fields) - left_out


def test_every_key_has_its_line_of_comment() -> None:
    """No key stands there without a word on what it does."""
    bare = [
        line
        for line in FILE.read_text().splitlines()
        if KEY.match(line) and "#" not in line.removeprefix("# ").split(" = ", 1)[1]
    ]
    assert bare == []
