"""The originals as files: where one lies."""

from __future__ import annotations

from pathlib import Path

from node.inbox.layout import Inbox


def original(inbox: Inbox, study: str, instance: str) -> Path:
    """Give the path of an adopted original."""
    return inbox.studies / study / f"{instance}.dcm"
