"""The status on a terminal, once or live, or line by line where nobody draws."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.live import Live

from node.cli.printing import print_table
from node.config import NodeConfig
from node.status import status as read_status
from node.status.view import draw

WATCH_SECONDS = 0.5
STUDIES_LISTED = 200


def show(config: NodeConfig) -> None:
    """Draw the status once."""
    print_table(draw(read_status(config, STUDIES_LISTED)))


def watch(config: NodeConfig) -> None:
    """Draw the status anew until Ctrl-C."""
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
