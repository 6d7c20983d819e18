"""`profile …`: what there is, and what each does to every attribute."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from node.cli.options import config_option, json_option, print_json, read_config
from node.cli.printing import print_table
from node.cli.recipe import read_profile
from node.profile.listing import listing
from node.profile.load import profile_names
from node.status.view import grid


@click.group()
def profile() -> None:
    """Look at the de-identification profiles."""


@profile.command("list")
@config_option
@json_option
def list_profiles(config_path: Path | None, as_json: bool) -> None:
    """List the profiles beside the configuration and those that are shipped."""
    names = profile_names(read_config(config_path).folder)
    if as_json:
        print_json(names)
    else:
        for name in names:
            click.echo(name)


@profile.command()
@click.argument("name", metavar="P")
@config_option
@json_option
def show(name: str, config_path: Path | None, as_json: bool) -> None:
    """Show every attribute with its resolved action and where that comes from."""
    shown = read_profile(read_config(config_path), name)
    lines = list(listing(shown))
    if as_json:
        print_json(
            {
                "name": shown.name, "base": shown.base, "options": sorted(shown.options),
                "domain": shown.domain, "digest": shown.digest, "pixels": dict(shown.pixels),
                "attributes": [asdict(line) for line in lines],
            }
        )  # fmt: skip
        return
    options = ", ".join(sorted(shown.options)) or "none"
    click.echo(f"{shown.name}: base {shown.base}, options {options}, domain {shown.domain}")
    rows = grid("attribute", "keyword", "VR", "action", "by")
    for line in lines:
        rows.add_row(line.tag, line.keyword, line.vr, line.action, line.origin)
    print_table(rows)
