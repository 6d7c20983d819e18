"""`find`: which study is it? The question comes by stdin, for a command line is seen by others."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from node import audit
from node.cli.deciding import now_text, who
from node.cli.options import config_option, json_option, leave, print_json, read_config
from node.cli.reading import told
from node.inbox.layout import Inbox
from node.status.find import find_studies


@click.command()
@config_option
@json_option
@told
def find(config_path: Path | None, as_json: bool) -> None:
    """Find studies by Patient ID, accession number or UID, original or new, one per line of stdin.

    Who asked and which studies were found is audited; what was asked is not written anywhere.
    """
    config = read_config(config_path)
    if sys.stdin.isatty():
        click.echo("Patient ID, accession number or UID, then Enter and Ctrl-D:", err=True)
    values = [line.strip() for line in sys.stdin if line.strip()]
    if not values:
        leave("nothing was asked: write a Patient ID, accession number or UID to stdin")
    found = find_studies(config, values)
    trail = Inbox(config.inbox_dir).audit / "people.jsonl"
    audit.append(trail, who(), "find", now_text(), studies=found)
    if as_json:
        print_json(found)
    else:
        for study in found:
            click.echo(study)
    if not found:
        leave("no study of this node has it (purged originals are no longer found)")
