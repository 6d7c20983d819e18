"""Live progress: bars on a terminal, else a line for every change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live

from node.demo.patients import Study
from node.status.view import bar, draw, grid


class Watching(Protocol):
    """What shows the demo's progress."""

    def show(self, status: dict[str, Any], sent: list[int]) -> None:
        """Show the node's status and how many instances of each study were sent."""


@contextmanager
def watching(console: Console, studies: Sequence[Study]) -> Iterator[Watching]:
    """Watch on this console while the block runs."""
    if not console.is_terminal:
        yield Lines(console, studies)
        return
    with Live(console=console, refresh_per_second=8) as live:
        yield Bars(live, studies)


class Bars:
    """The modality's sending above the node's own status, drawn anew."""

    def __init__(self, live: Live, studies: Sequence[Study]) -> None:
        self._live = live
        self._studies = studies

    def show(self, status: dict[str, Any], sent: list[int]) -> None:
        """Draw the bars."""
        rows = grid("The modality sends", "", "")
        for study, count in zip(self._studies, sent, strict=True):
            rows.add_row(
                study.title, bar(count, len(study.instances)), f"{count} of {len(study.instances)}"
            )
        self._live.update(Group(rows, draw(status)))


class Lines:
    """One line for every thing that changed since the last look."""

    def __init__(self, console: Console, studies: Sequence[Study]) -> None:
        self._console = console
        self._studies = studies
        self._told: dict[str, str] = {}

    def show(self, status: dict[str, Any], sent: list[int]) -> None:
        """Print what changed."""
        for study, count in zip(self._studies, sent, strict=True):
            if count in (0, len(study.instances)):
                self._tell(study.title, f"{count} of {len(study.instances)} sent")
        for row in status["studies"]:
            name = f"study {row['study']} ({row.get('modality') or '?'})"
            self._tell(name, f"{row['state']}, {row['done']} of {row['total']} done")
        for row in status["destinations"]:
            self._tell(f"destination {row['name']}", f"{row['delivered']} delivered")

    def _tell(self, what: str, text: str) -> None:
        if self._told.get(what) != text:
            self._told[what] = text
            self._console.print(f"{what}: {text}", highlight=False, soft_wrap=True)
