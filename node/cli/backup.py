"""`backup`: a copy of the node's folders as of one moment, for the day when the disk is gone."""

from __future__ import annotations

from pathlib import Path

import click

from node import audit
from node.cli.deciding import now_text, who
from node.cli.options import FAILED, config_option, leave, read_config
from node.cli.reading import told
from node.database import DatabaseNotReady
from node.inbox.layout import Inbox
from node.status.backup import back_up


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@config_option
@told
def backup(folder: Path, config_path: Path | None) -> None:
    """Copy everything but the keys into FOLDER, a new one, while the node works.

    FOLDER holds identified data, as `data_dir` does; to restore, copy it back into an empty
    `data_dir` (docs/operations.md). Exit 1 with a line for everything that the copy lacks.
    """
    config = read_config(config_path)
    if not Inbox(config.inbox_dir).database.exists():
        leave("there is nothing to back up before the node's first start")
    audit.append(Inbox(config.inbox_dir).audit / "people.jsonl", who(), "backed_up", now_text())
    try:
        problems = back_up(config, folder.absolute())
    except DatabaseNotReady as error:
        leave(f"{error}: start the node, and back it up then")
    for problem in problems:
        click.echo(problem)
    click.echo(f"{folder} holds everything but the keys: keep a copy of them elsewhere")
    if problems:
        raise SystemExit(FAILED)
