"""`conformance`: the DICOM conformance statement (PS3.2) of this node as it is configured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydicom.uid import UID

from node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, __version__
from node.cli.options import config_option, read_config
from node.cli.recipe import read_profile
from node.config import DicomDestination, NodeConfig
from node.forward.outcomes import OUTCOMES, UNKNOWN
from node.profile.actions import Option
from node.profile.pixel_rules import PIXEL_RULES
from node.receive.contexts import supported_contexts
from node.upper_layer import Supported
from node.upper_layer.names import STORAGE_COMMITMENT_PUSH, VERIFICATION

#: SOP classes of PS3.6 Table A-1 that pydicom's dictionary has no name for yet.
NEWER = {
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.66.8": "Height Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.1": "Waveform Presentation State Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.2": "Waveform Acquisition Presentation State Storage",
}
#: What a reaction of the forwarder means, in words.
REACTIONS = {
    "STORED": "counts as stored",
    "RETRY": "tries again with back-off",
    "REFUSE": "leaves it to a person",
    "SUSPEND": "stops sending to this destination; a person must look",
    "THREE_TRIES": "tries three times, then leaves it to a person",
}


@click.command()
@config_option
def conformance(config_path: Path | None) -> None:
    """Print the DICOM conformance statement of this node as it is configured, as Markdown."""
    click.echo(statement(read_config(config_path)), nl=False)


def statement(config: NodeConfig) -> str:
    """Make the statement: what is configured, and what the code does whatever is configured."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 -- Markdown of our own facts, for a file
    )  # fmt: skip
    return environment.get_template("conformance.md").render(_facts(config))


def _facts(config: NodeConfig) -> dict[str, Any]:
    receive = config.receive
    commitment = any(peer.commitment for peer in receive.peers)
    contexts = supported_contexts(receive.private_sop_classes, (), commitment)
    storage = [
        context
        for context in contexts
        if context.abstract_syntax not in (VERIFICATION, STORAGE_COMMITMENT_PUSH)
    ]
    routes = config.effective_routes
    return {
        "config": config,
        "version": __version__,
        "class_uid": IMPLEMENTATION_CLASS_UID,
        "version_name": IMPLEMENTATION_VERSION_NAME,
        "storage": sorted(_named(context.abstract_syntax) for context in storage),
        "syntaxes": [_named(syntax) for syntax in storage[0].transfer_syntaxes],
        "plain": [_named(syntax) for syntax in _of(contexts, VERIFICATION)],
        "commitment_scp": commitment,
        "pacs": [one for one in config.effective_destinations if isinstance(one, DicomDestination)],
        "others": [
            one for one in config.effective_destinations if not isinstance(one, DicomDestination)
        ],
        "routes": routes,
        "profiles": {route.profile: read_profile(config, route.profile) for route in routes},
        "every_option": list(Option),
        "pixel_rules": PIXEL_RULES,
        "outcomes": OUTCOMES,
        "unknown": UNKNOWN,
        "reactions": REACTIONS,
    }


def _named(uid: str) -> tuple[str, str]:
    return NEWER.get(uid, UID(uid).name), uid


def _of(contexts: tuple[Supported, ...], abstract_syntax: str) -> tuple[str, ...]:
    return next(
        context.transfer_syntaxes
        for context in contexts
        if context.abstract_syntax == abstract_syntax
    )
