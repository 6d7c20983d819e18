"""`studies` and `show`: the list, and one study from arrival to delivery, free of PHI."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.options import config_option, json_option, leave, print_json, read_config
from node.cli.printing import print_table
from node.cli.reading import told
from node.inbox.states import StudyState
from node.status.story import draw_study
from node.status.studies import list_studies, show_study
from node.status.view import draw_studies


@click.command()
@config_option
@json_option
@click.option(
    "--state", type=click.Choice([state.value for state in StudyState], case_sensitive=False)
)
@told
def studies(config_path: Path | None, as_json: bool, state: str | None) -> None:
    """List studies, the newest first."""
    found = list_studies(read_config(config_path), StudyState(state.upper()) if state else None)
    if as_json:
        print_json(found)
    else:
        print_table(draw_studies(found, limit=len(found)))


@click.command()
@click.argument("study")
@config_option
@json_option
@told
def show(study: str, config_path: Path | None, as_json: bool) -> None:
    """Show one study: its timeline, findings, generations and deliveries."""
    found = show_study(read_config(config_path), study)
    if found is None:
        leave(f"there is no study {study}; `deid-node studies` lists them")
    if as_json:
        print_json(found)
    else:
        print_table(draw_study(found))
