"""Where tables are printed: a terminal as wide as it is, a pipe wide enough to lose nothing."""

from __future__ import annotations

import sys

from rich.console import Console, RenderableType

PIPE_WIDTH = 240


def print_table(table: RenderableType) -> None:
    """Print to stdout."""
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)
