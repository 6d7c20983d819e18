"""`complete` and `withdraw`: what a person may decide about a study that is not held."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.deciding import decide, decide_delivery
from node.cli.held import reason_option
from node.cli.options import config_option, leave, read_config
from node.cli.printing import print_table
from node.cli.reading import told
from node.inbox.decisions import DecisionKind
from node.outbox import decisions as outbox_decisions
from node.status.studies import list_deliveries
from node.status.view import draw_deliveries


@click.command()
@click.argument("study")
@reason_option
@config_option
@told
def complete(study: str, reason: str, config_path: Path | None) -> None:
    """Wait no longer for instances of a study."""
    decide(read_config(config_path), DecisionKind.COMPLETE, study, why=reason)


@click.command()
@click.argument("study")
@reason_option
@config_option
@told
def withdraw(study: str, reason: str, config_path: Path | None) -> None:
    """Stop what is pending of a study, block its redelivery, and list what went out."""
    config = read_config(config_path)
    if not list_deliveries(config, study):
        leave(f"nothing of a study {study} was ever released; `held reject` keeps it from going")
    decide_delivery(config, outbox_decisions.DecisionKind.WITHDRAW, study, why=reason)
    click.echo("what went out, to be deleted at its destinations by their own means:")
    print_table(draw_deliveries(list_deliveries(config, study)))
