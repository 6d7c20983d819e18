"""What the verbs share: `-c`, the configuration with all its mistakes, the last words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import click

from node.cli.preflight import check_files, tables_of
from node.config import ConfigError, Mistake, NodeConfig, find_config, load_config

FAILED = 1
MISCONFIGURED = 2

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="node.toml; else $DEID_NODE_CONFIG, else /etc/deid-node/node.toml, else the defaults.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")


def read_config(given: Path | None) -> NodeConfig:
    """Read the configuration, or print every mistake in it and leave with exit code 2."""
    try:
        return load_config(find_config(given))
    except ConfigError as error:
        leave_misconfigured(error.source, error.mistakes)


def read_config_and_files(given: Path | None, roles: tuple[str, ...]) -> NodeConfig:
    """Read the configuration and look at the files that it names for these roles.

    Every mistake of either kind is printed at once; exit code 2.
    """
    path = find_config(given)
    config: NodeConfig | None = None
    mistakes: list[Mistake] = []
    source = str(path) if path else "the default configuration"
    try:
        config = load_config(path)
    except ConfigError as error:
        mistakes += error.mistakes
    mistakes += check_files(tables_of(config, path), path.parent if path else None, roles)
    if mistakes or config is None:
        leave_misconfigured(source, mistakes)
    return config


def leave_misconfigured(source: str, mistakes: list[Mistake]) -> NoReturn:
    """Print all mistakes of a configuration, one line each, and leave with exit code 2."""
    click.echo(f"{source}: {len(mistakes)} mistake{'s' * (len(mistakes) != 1)}", err=True)
    for mistake in mistakes:
        click.echo(f"  {mistake}", err=True)
    raise SystemExit(MISCONFIGURED)


def leave(text: str, code: int = FAILED) -> NoReturn:
    """Say in one line why the verb stops here, and leave."""
    click.echo(f"deid-node: {text}", err=True)
    raise SystemExit(code)


def print_json(value: Any) -> None:
    """Print a value for a program."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
