"""`delivery …`, `redeliver` and `destination …`: the sending side."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.deciding import decide_delivery
from node.cli.held import reason_option
from node.cli.options import config_option, json_option, leave, print_json, read_config
from node.cli.printing import print_table
from node.cli.reading import told
from node.config import NodeConfig
from node.outbox.decisions import DecisionKind
from node.status.studies import list_deliveries
from node.status.view import draw_deliveries

to_option = click.option("--to", "destination", default="", metavar="DEST", help="Only this one.")


@click.group()
def delivery() -> None:
    """Look at deliveries, and decide about those that do not go."""


@delivery.command("list")
@config_option
@json_option
@told
def list_all(config_path: Path | None, as_json: bool) -> None:
    """List every release at every destination."""
    found = list_deliveries(read_config(config_path))
    if as_json:
        print_json(found)
    elif found:
        print_table(draw_deliveries(found))
    else:
        click.echo("nothing was released yet")


@delivery.command()
@click.argument("study")
@to_option
@reason_option
@config_option
@told
def retry(study: str, destination: str, reason: str, config_path: Path | None) -> None:
    """Try again now what is deferred or refused."""
    config = read_config(config_path)
    _must_be_released(config, study)
    decide_delivery(config, DecisionKind.RETRY, study, destination, reason)


@delivery.command()
@click.argument("study")
@to_option
@reason_option
@config_option
@told
def abandon(study: str, destination: str, reason: str, config_path: Path | None) -> None:
    """Give up what is not delivered."""
    config = read_config(config_path)
    _must_be_released(config, study)
    decide_delivery(config, DecisionKind.ABANDON, study, destination, reason)


@click.command()
@click.argument("study")
@to_option
@reason_option
@config_option
@told
def redeliver(study: str, destination: str, reason: str, config_path: Path | None) -> None:
    """Send again what was delivered."""
    config = read_config(config_path)
    _must_be_released(config, study)
    decide_delivery(config, DecisionKind.REDELIVER, study, destination, reason)


@click.group()
def destination() -> None:
    """Pause and resume a destination."""


@destination.command()
@click.argument("name")
@reason_option
@config_option
@told
def pause(name: str, reason: str, config_path: Path | None) -> None:
    """Start nothing new to a destination."""
    decide_delivery(read_config(config_path), DecisionKind.PAUSE, destination=name, why=reason)


@destination.command()
@click.argument("name")
@reason_option
@config_option
@told
def resume(name: str, reason: str, config_path: Path | None) -> None:
    """Go on sending, at once."""
    decide_delivery(read_config(config_path), DecisionKind.RESUME, destination=name, why=reason)


def _must_be_released(config: NodeConfig, study: str) -> None:
    if not list_deliveries(config, study):
        leave(f"nothing of a study {study} was released; `deid-node delivery list` lists what was")
