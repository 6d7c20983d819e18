"""`status`: what the node is doing, once or live; works while the roles are dead."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from node.cli.options import config_option, json_option, print_json, read_config
from node.cli.printing import print_table
from node.cli.reading import told
from node.config import NodeConfig
from node.status import status as read_status
from node.status.view import draw

WATCH_SECONDS = 0.5
STUDIES_LISTED = 200


@click.command()
@config_option
@json_option
@click.option("--watch", is_flag=True, help="Stay and draw it anew until Ctrl-C.")
@told
def status(config_path: Path | None, as_json: bool, watch: bool) -> None:
    """Show roles, workers, studies with progress bars, destinations and conservation."""
    config = read_config(config_path)
    if as_json:
        print_json(read_status(config))
    elif watch:
        _watch(config)
    else:
        print_table(draw(read_status(config, STUDIES_LISTED)))


def _watch(config: NodeConfig) -> None:
    console = Console()
    try:
        if console.is_terminal:
            _live(console, config)
        else:
            _lines(console, config)
    except KeyboardInterrupt:
        return


def _live(console: Console, config: NodeConfig) -> None:
    with Live(console=console, auto_refresh=False, screen=False) as live:
        while True:
            live.update(draw(read_status(config, STUDIES_LISTED)), refresh=True)
            time.sleep(WATCH_SECONDS)


def _lines(console: Console, config: NodeConfig) -> None:
    """Print the status again whenever it changed; for a pipe or a log."""
    before: dict[str, Any] = {}
    while True:
        now = read_status(config, STUDIES_LISTED)
        if now != before:
            console.print(draw(now))
            before = now
        time.sleep(WATCH_SECONDS)
