"""`echo`: does a destination answer? The first thing to try when nothing is delivered."""

from __future__ import annotations

import os
from http import HTTPStatus
from pathlib import Path

import click

from node.cli.options import config_option, leave, read_config
from node.config import DicomDestination, FolderDestination, StowDestination
from node.forward.dicom import connect
from node.forward.stow import ask_capabilities
from node.upper_layer import Proposal, UpperLayerError
from node.upper_layer.names import PLAIN_SYNTAXES, VERIFICATION
from node.upper_layer.status import is_success


@click.command()
@click.argument("destination", metavar="DEST")
@config_option
def echo(destination: str, config_path: Path | None) -> None:
    """Ask a destination for an answer (C-ECHO, HTTP), or see if its folder can be written."""
    config = read_config(config_path)
    known = {one.name: one for one in config.effective_destinations}
    match known.get(destination):
        case DicomDestination() as pacs:
            _echo(pacs, config.forward.timeout_seconds)
        case FolderDestination() as folder:
            _see(folder.path)
        case StowDestination() as server:
            _ask(server, config.forward.timeout_seconds)
        case None:
            leave(f"no destination is named {destination} (known: {', '.join(known)})")


def _echo(pacs: DicomDestination, timeout: float) -> None:
    where = f"{pacs.ae_title} at {pacs.host} port {pacs.port}"
    try:
        with connect(pacs, [Proposal(1, VERIFICATION, PLAIN_SYNTAXES)], timeout) as association:
            status = association.echo()
    except UpperLayerError as error:
        leave(f"{where} does not answer: {error}")
    if not is_success(status):
        leave(f"{where} answered C-ECHO with status {status:04X}")
    click.echo(f"{where} answers")


def _ask(server: StowDestination, timeout: float) -> None:
    """DICOMweb has no echo: any answer but a refusal says that somebody is there."""
    try:
        status = ask_capabilities(server, timeout)
    except OSError as error:  # what requests raises is an OSError too
        told = str(error) if type(error) is OSError else type(error).__name__
        leave(f"{server.url} does not answer: {told}")
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        leave(f"{server.url} answers, and does not take the credential (HTTP {status})")
    if status == HTTPStatus.NOT_FOUND or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        leave(f"{server.url} answered with HTTP {status}")
    click.echo(f"{server.url} answers")


def _see(path: Path) -> None:
    parent = path if path.exists() else path.parent
    if not os.access(parent, os.W_OK):
        leave(f"{path} cannot be written")
    click.echo(f"{path} can be written")
