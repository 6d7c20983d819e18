"""`keygen`: the node's two keys, made before its first start."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.options import config_option, leave, read_config
from node.cli.reading import told
from node.inbox.layout import Inbox
from node.outbox.layout import Outbox
from node.outbox.signing import create_signing_key
from node.profile.key import create_key, fingerprint


@click.command()
@config_option
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FOLDER", help="Else keys/ of the data_dir."
)
@told
def keygen(config_path: Path | None, out: Path | None) -> None:
    """Make the pseudonym key and the key that signs manifests; keep a copy of both safe.

    Without the pseudonym key no pseudonym comes out again.
    """
    settings = read_config(config_path)
    outbox = Outbox(settings.outbox_dir)
    if out is None and any(
        database.exists() for database in (Inbox(settings.inbox_dir).database, outbox.database)
    ):
        leave("this node has worked already: a new key would give its patients new pseudonyms")
    folder = out or settings.keys_dir
    path = folder / "pseudonym.key"
    if path.exists():
        leave(f"{path} is there already, and a key is never overwritten")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = create_key(path)
    create_signing_key(folder / "manifest.key", folder / "manifest-public.pem")
    click.echo(f"{path}: fingerprint {fingerprint(key)}")
    click.echo(f"{folder / 'manifest.key'}: signs manifests")
