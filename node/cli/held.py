"""`held …`: what waits for a person, and the person's answer, each audited."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.deciding import decide
from node.cli.options import config_option, json_option, leave, print_json, read_config
from node.cli.printing import print_table
from node.cli.reading import told
from node.inbox.decisions import DecisionKind, Keep
from node.status.story import draw_study
from node.status.studies import show_study, waiting_for_a_person
from node.status.view import draw_studies

reason_option = click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")


@click.group()
def held() -> None:
    """Decide about studies that wait for a person."""


@held.command("list")
@config_option
@json_option
@told
def list_held(config_path: Path | None, as_json: bool) -> None:
    """List the held studies, and released ones that left instances in quarantine, and why."""
    found = waiting_for_a_person(read_config(config_path))
    if as_json:
        print_json(found)
    elif found:
        print_table(draw_studies(found, limit=len(found)))
    else:
        click.echo("no study waits for a person")


@held.command()
@click.argument("study")
@config_option
@json_option
@told
def show(study: str, config_path: Path | None, as_json: bool) -> None:
    """Show what was found in a held study."""
    found = show_study(read_config(config_path), study)
    if found is None:
        leave(f"there is no study {study}; `deid-node held list` lists those that are held")
    if as_json:
        print_json(found)
    else:
        print_table(draw_study(found))


@held.command()
@click.argument("study")
@click.option("--keep", type=click.Choice([keep.value for keep in Keep]), help="Of conflicting.")
@click.option("--override", is_flag=True, help="Release against its findings; needs --reason.")
@reason_option
@config_option
@told
def release(
    study: str, keep: str | None, override: bool, reason: str, config_path: Path | None
) -> None:
    """Let a held study go."""
    if override and not reason:
        raise click.UsageError("--override needs --reason: it is kept with the study")
    decide(
        read_config(config_path), DecisionKind.RELEASE, study,
        keep=Keep(keep) if keep else None, override=override, why=reason,
    )  # fmt: skip


@held.command()
@click.argument("study")
@click.option("--series", type=int, metavar="N", help="Leave out this series (as `show` numbers).")
@click.option("--instance", metavar="ID", help="Leave out this instance (as `show` names).")
@reason_option
@config_option
@told
def exclude(
    study: str, series: int | None, instance: str | None, reason: str, config_path: Path | None
) -> None:
    """Leave a series or an instance out and let the rest go on."""
    if (series is None) == (instance is None):
        raise click.UsageError("say which: --series N or --instance ID")
    decide(
        read_config(config_path), DecisionKind.EXCLUDE, study,
        series=series, instance=instance, why=reason,
    )  # fmt: skip


@held.command()
@click.argument("study")
@reason_option
@config_option
@told
def reject(study: str, reason: str, config_path: Path | None) -> None:
    """Say no: nothing of this study will leave."""
    decide(read_config(config_path), DecisionKind.REJECT, study, why=reason)


@held.command()
@click.argument("study")
@click.option("--all-generations", is_flag=True, help="Make what was released before anew, too.")
@click.option("--with-excluded", is_flag=True, help="Take back what people excluded, too.")
@reason_option
@config_option
@told
def requeue(
    study: str,
    all_generations: bool,
    with_excluded: bool,
    reason: str,
    config_path: Path | None,
) -> None:
    """Process a study anew, with the route and profile as they are now.

    What a person excluded stays out, unless --with-excluded says otherwise.
    """
    decide(
        read_config(config_path), DecisionKind.REQUEUE, study,
        all_generations=all_generations, with_excluded=with_excluded, why=reason,
    )  # fmt: skip
