"""The command line: one file per group of verbs, each loaded when it is asked for."""

from __future__ import annotations

import os
from importlib import import_module

import click

#: Verb -> where its command lies. Loaded late, so that `deid-node forward` is a process that has
#: not even read the code of the identified zone.
COMMANDS = {
    "run": "node.cli.roles:run",
    "receive": "node.cli.roles:receive",
    "process": "node.cli.roles:process",
    "forward": "node.cli.roles:forward",
    "web": "node.cli.roles:web",
    "demo": "node.cli.demo:demo",
    "status": "node.cli.status:status",
    "studies": "node.cli.studies:studies",
    "show": "node.cli.studies:show",
    "held": "node.cli.held:held",
    "complete": "node.cli.decisions:complete",
    "withdraw": "node.cli.decisions:withdraw",
    "delivery": "node.cli.delivery:delivery",
    "redeliver": "node.cli.delivery:redeliver",
    "destination": "node.cli.delivery:destination",
    "deidentify": "node.cli.files:deidentify",
    "preview": "node.cli.files:preview",
    "profile": "node.cli.profiles:profile",
    "config": "node.cli.configuration:config",
    "verify": "node.cli.verifying:verify",
    "backup": "node.cli.backup:backup",
    "echo": "node.cli.echo:echo",
    "find": "node.cli.finding:find",
    "conformance": "node.cli.conformance:conformance",
    "user": "node.cli.users:user",
    "keygen": "node.cli.keygen:keygen",
}


class Verbs(click.Group):
    """The verbs of `deid-node`, found by COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Give the verbs in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- click's signature
        """Import and give one verb's command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="deid-node", prog_name="deid-node")
def deid_node() -> None:
    """Receive DICOM studies, de-identify and prove them, and forward them to a research PACS."""


#: What a verb writes into a zone is for all of the zone's group, and for nobody else.
UMASK = 0o007


def main() -> None:
    """Run `deid-node`: exits 0 done, 1 a failure that the text explains, 2 usage or settings."""
    os.umask(UMASK)
    deid_node(prog_name="deid-node")
