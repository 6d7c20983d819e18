"""`status`: what the node is doing, once or live; works while the roles are dead."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.options import config_option, json_option, print_json, read_config
from node.cli.reading import told
from node.status import status as read_status


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
        return
    from node.cli import watching  # noqa: PLC0415 -- what draws takes time, and a program wants none

    if watch:
        watching.watch(config)
    else:
        watching.show(config)
