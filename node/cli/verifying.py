"""`verify`: whether everything on disk is as it was written, and agrees with the rows."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.options import FAILED, config_option, json_option, print_json, read_config
from node.cli.reading import told
from node.status.verify import verify_node


@click.command()
@config_option
@json_option
@told
def verify(config_path: Path | None, as_json: bool) -> None:
    """Check originals, releases, the chain of manifests, the rows and the audit trail.

    Reads every released file; changes nothing. Exit 1 with a line for everything that is wrong.
    """
    problems = verify_node(read_config(config_path))
    if as_json:
        print_json({"problems": problems})
    elif problems:
        for problem in problems:
            click.echo(problem)
        click.echo(f"{len(problems)} problem{'s' * (len(problems) != 1)}")
    else:
        click.echo("everything is as it was written")
    if problems:
        raise SystemExit(FAILED)
