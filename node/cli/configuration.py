"""`config check`: every mistake of a configuration at once, and nothing started."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.options import config_option, read_config_and_files
from node.cli.preflight import ALL_ROLES
from node.config import find_config


@click.group()
def config() -> None:
    """Look at the configuration."""


@config.command()
@config_option
def check(config_path: Path | None) -> None:
    """Check the configuration and the files that it names; exit 2 with every mistake."""
    found = find_config(config_path)
    read_config_and_files(config_path, ALL_ROLES)
    click.echo(f"{found or 'the default configuration'}: no mistake")
