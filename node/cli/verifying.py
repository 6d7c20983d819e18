"""`verify`: whether everything on disk is as it was written, and agrees with the rows."""

from __future__ import annotations

from pathlib import Path

import click

from node import audit
from node.cli.deciding import now_text, who
from node.cli.options import (
    FAILED,
    MISCONFIGURED,
    config_option,
    json_option,
    leave,
    print_json,
    read_config,
)
from node.cli.reading import told
from node.config import NodeConfig
from node.disk import AlreadyLocked
from node.inbox.layout import Inbox
from node.process.keys import KeyRefused
from node.process.repairing import repair as rebuild
from node.profile.key import KeyInvalid, KeyMissing
from node.status.verify import verify_node

#: Of what was repaired, so many lines are shown: a lost index has a line for each study.
_MOST_TOLD = 20


@click.command()
@config_option
@json_option
@click.option("--repair", is_flag=True, help="First rebuild rows from files; `process` must rest.")
@told
def verify(config_path: Path | None, as_json: bool, repair: bool) -> None:
    """Check originals, releases, the chain of manifests, the rows and the audit trail.

    Reads every original and released file; without --repair it changes nothing. Exit 1 with a
    line for everything that is wrong.
    """
    config = read_config(config_path)
    if repair:
        _repair(config)
    problems = verify_node(config)
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


def _repair(config: NodeConfig) -> None:
    try:
        done = rebuild(config)
    except AlreadyLocked:
        leave("`process` is running; stop it first")
    except KeyMissing:
        leave(
            f"there is no {config.keys_dir}/pseudonym.key: bring it back, or, where it is a"
            " unit's credential, name its folder by CREDENTIALS_DIRECTORY=/etc/deid-node/keys",
            MISCONFIGURED,
        )
    except (KeyInvalid, KeyRefused) as error:
        leave(str(error), MISCONFIGURED)
    trail = Inbox(config.inbox_dir).audit / "people.jsonl"
    audit.append(trail, who(), "repaired", now_text(), lines=len(done))
    for line in done[:_MOST_TOLD]:
        click.echo(f"repaired: {line}", err=True)
    if done[_MOST_TOLD:]:
        click.echo(f"repaired: and {len(done) - _MOST_TOLD} more like these", err=True)
