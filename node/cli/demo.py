"""`demo`: the whole main job on this machine, with made-up patients."""

from __future__ import annotations

import sys

import click
from rich.console import Console

from node.cli.options import leave
from node.demo.story import run_demo

PIPE_WIDTH = 120


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)


@click.command()
@click.option("--keep", is_flag=True, help="Leave the node running until Ctrl-C.")
def demo(keep: bool) -> None:
    """Send made-up studies through a node of its own to a research PACS, and show what came."""
    try:
        code = run_demo(_console(), keep=keep)
    except KeyboardInterrupt:
        leave("the demo was stopped")
    sys.exit(code)
