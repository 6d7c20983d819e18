"""`deid-node` in the test's own process, on the folders of a made-up node."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from node.cli import deid_node
from node.config import NodeConfig
from tests.web.filled import filled_node


@dataclass
class Node:
    """A made-up node and its command line."""

    config: NodeConfig
    file: Path

    def cli(self, *arguments: str) -> Result:
        """Run a verb on this node's configuration."""
        return CliRunner().invoke(deid_node, [*arguments, "-c", str(self.file)])

    def json(self, *arguments: str) -> Any:
        """Run a verb with `--json` and read what it prints."""
        done = self.cli(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture(name="node")
def _node(tmp_path: Path) -> Callable[[int], Node]:
    """Make a node that has worked on so many studies and whose roles are dead."""

    def node(studies: int) -> Node:
        return Node(filled_node(tmp_path, studies), tmp_path / "node.toml")

    return node
