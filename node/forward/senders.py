"""The destination types. A fourth is a line here, a file beside, and a section in node.config."""

from __future__ import annotations

from node.forward import dicom, folder, stow
from node.forward.batch import Send

SENDERS: dict[str, Send] = {"dicom": dicom.send, "folder": folder.send, "stow": stow.send}


def let_go() -> None:
    """Close politely what was kept open for a batch that did not come."""
    dicom.let_go()
