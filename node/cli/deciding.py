"""A person's decision from the command line: checked, written as a file, and awaited."""

from __future__ import annotations

import getpass
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from node.cli.options import leave
from node.config import NodeConfig
from node.inbox.decisions import Decision, DecisionKind, write_decision
from node.inbox.layout import Inbox
from node.outbox import decisions as outbox_decisions
from node.outbox.deliveries import refusal
from node.outbox.layout import Outbox
from node.status.read import reading_ledger, roles
from node.status.studies import show_study

#: How long a decision is waited for; a role looks for them every tick.
PATIENCE_SECONDS = 10.0
TICK_SECONDS = 0.05


def decide(config: NodeConfig, kind: DecisionKind, study: str, **details: Any) -> None:
    """Write a decision about a study for `process`, and say what came of it."""
    known = show_study(config, study)
    if known is None:
        leave(f"there is no study {study}; `deid-node studies` lists them")
    inbox = Inbox(config.inbox_dir)
    decision = Decision(kind=kind, study=study, who=who(), when=now_text(), **details)
    path = write_decision(inbox, decision)
    if not roles(config)["process"]:
        click.echo(f"{kind} of {study} is recorded; `process` is not running and will apply it")
        return
    refused = path.with_name(f"{path.stem}.refused.json")
    if not _wait_gone(path):
        click.echo(f"{kind} of {study} is recorded and not applied yet")
    elif refused.exists():
        leave(f"{kind} of {study} was refused: {_message(config, study, path.stem)}")
    else:
        click.echo(f"{kind} of {study}: done")


def decide_delivery(
    config: NodeConfig,
    kind: outbox_decisions.DecisionKind,
    study: str = "",
    destination: str = "",
    why: str = "",
) -> None:
    """Write a decision about deliveries for `forward`, and say what came of it."""
    names = [known.name for known in config.effective_destinations]
    if destination and destination not in names:
        leave(f"no destination is named {destination} (known: {', '.join(names)})")
    folder = Outbox(config.outbox_dir).decisions
    decision = outbox_decisions.DeliveryDecision(kind, who(), now_text(), why, study, destination)
    path = outbox_decisions.write_decision(folder, decision, time.time())
    about = f"{kind} of {study or destination}"
    if not roles(config)["forward"]:
        click.echo(f"{about} is recorded; `forward` is not running and will apply it")
    elif not _wait_gone(path):
        click.echo(f"{about} is recorded and not applied yet")
    elif (folder / "refused" / path.name).exists():
        leave(f"{about} was refused: {_refusal(config, path.name)}")
    else:
        click.echo(f"{about}: done")


def _refusal(config: NodeConfig, name: str) -> str:
    with reading_ledger(config) as conn:
        reason = "" if conn is None else refusal(conn, name)
    return reason or "the log of `forward` says why"


def who() -> str:
    """Name the person at the terminal, behind a sudo too."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def now_text() -> str:
    """Give the time of a decision: UTC, ISO 8601."""
    return datetime.now(UTC).isoformat()


def _wait_gone(path: Path) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while path.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(TICK_SECONDS)
    return True


def _message(config: NodeConfig, study: str, decision: str) -> str:
    known = show_study(config, study) or {"decisions": []}
    messages = [row["message"] for row in known["decisions"] if row["id"] == decision]
    return messages[-1] if messages else "the log of `process` says why"
