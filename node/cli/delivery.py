"""`delivery …`, `redeliver` and `destination …`: the sending side."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.deciding import decide_delivery
from node.cli.held import reason_option
from node.cli.options import config_option, json_option, leave, print_json, read_config
from node.cli.printing import print_table
from node.cli.reading import told
from node.outbox.decisions import DecisionKind
from node.status.studies import list_deliveries
from node.status.view import draw_deliveries


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


def _about_study(group: click.Group | None, kind: DecisionKind, text: str) -> click.Command:
    """Make the verb that decides about a released study's deliveries."""

    @click.command(str(kind), help=text)
    @click.argument("study")
    @click.option("--to", "destination", default="", metavar="DEST", help="Only this one.")
    @reason_option
    @config_option
    @told
    def verb(study: str, destination: str, reason: str, config_path: Path | None) -> None:
        config = read_config(config_path)
        if not list_deliveries(config, study):
            leave(f"nothing of a study {study} was released; `delivery list` lists what was")
        decide_delivery(config, kind, study, destination, reason)

    if group is not None:
        group.add_command(verb)
    return verb


def _about_destination(group: click.Group, kind: DecisionKind, text: str) -> None:
    """Make the verb that decides about a whole destination."""

    @group.command(str(kind), help=text)
    @click.argument("name")
    @reason_option
    @config_option
    @told
    def verb(name: str, reason: str, config_path: Path | None) -> None:
        decide_delivery(read_config(config_path), kind, destination=name, why=reason)


@click.group()
def destination() -> None:
    """Pause and resume a destination."""


_about_study(delivery, DecisionKind.RETRY, "Try again now what is deferred or refused.")
_about_study(delivery, DecisionKind.ABANDON, "Give up what is not delivered.")
redeliver = _about_study(None, DecisionKind.REDELIVER, "Send again what was delivered.")
_about_destination(destination, DecisionKind.PAUSE, "Start nothing new to a destination.")
_about_destination(destination, DecisionKind.RESUME, "Go on sending, at once.")
