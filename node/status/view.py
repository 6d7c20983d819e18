"""The status on a terminal: tables and progress bars, drawn from what `status` read."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

BAR_WIDTH = 30
#: How many studies a terminal shows; the rest is counted.
STUDIES_SHOWN = 20
STATE_STYLES = {
    "RECEIVING": "cyan", "COMPLETE": "cyan", "PROCESSING": "blue", "RELEASED": "green",
    "HELD": "bold yellow", "REJECTED": "dim",
}  # fmt: skip


def draw(status: dict[str, Any]) -> RenderableType:
    """Draw the whole status."""
    return Group(
        _roles(status),
        draw_studies(status["studies"]),
        _destinations(status),
        *_in_quarantine(status),
        *_refused_releases(status),
        _conservation(status),
    )


def bar(done: int, total: int) -> ProgressBar:
    """Draw one progress bar."""
    return ProgressBar(total=max(total, 1), completed=done, width=BAR_WIDTH)


def grid(*headers: str) -> Table:
    """Start a table without lines."""
    return Table(
        *headers, box=None, padding=(0, 2, 0, 0), header_style="bold", title_justify="left"
    )


def _roles(status: dict[str, Any]) -> RenderableType:
    line = Text()
    for name, alive in status["roles"].items():
        line.append("● " if alive else "○ ", style="green" if alive else "red")
        line.append(f"{name}   ", style="" if alive else "red")
    workers = status["workers"]
    line.append(
        f"workers {workers['totalWorkers']}, active jobs {workers['activeJobs']},"
        f" queued jobs {workers['queuedJobs']}"
    )
    return line


def draw_studies(studies: list[dict[str, Any]], limit: int = STUDIES_SHOWN) -> RenderableType:
    """Draw a list of studies with their progress."""
    rows = grid("study", "state", "modality", "progress", "instances", "")
    for study in studies[:limit]:
        rows.add_row(
            study["study"],
            Text(study["state"], style=STATE_STYLES.get(study["state"], "")),
            study["modality"],
            bar(study["done"], study["total"]),
            f"{study['done']} of {study['total']}",
            study["why"],
        )
    if len(studies) > limit:
        rows.add_row(f"and {len(studies) - limit} more")
    return rows


def draw_deliveries(deliveries: list[dict[str, Any]]) -> RenderableType:
    """Draw a list of deliveries."""
    rows = grid(
        "release", "destination", "state", "delivered", "attempts", "next attempt", "last answer"
    )
    for delivery in deliveries:
        rows.add_row(
            delivery["release"], delivery["destination"], delivery["state"],
            f"{delivery['stored']} of {delivery['total']}", str(delivery["attempts"]),
            delivery["next_attempt_at"] or "", delivery["last_answer"],
        )  # fmt: skip
    return rows


def _destinations(status: dict[str, Any]) -> RenderableType:
    rows = grid("destination", "pending", "delivered", "committed", "refused", "last answer")
    for row in status["destinations"]:
        deferred = f", next attempt {row['deferred_until']}" if row["deferred_until"] else ""
        rows.add_row(
            row["name"], str(row["pending"]), str(row["delivered"]), str(row["committed"]),
            str(row["refused"]), f"{row['last_answer'] or ''}{deferred}",
        )  # fmt: skip
    return rows


def _in_quarantine(status: dict[str, Any]) -> list[RenderableType]:
    count = status["in_quarantine"]
    studies = "1 released study has" if count == 1 else f"{count} released studies have"
    text = f"{studies} instances in quarantine: `deid-node held list`"
    return [Text(text, style="yellow")] if count else []


def _refused_releases(status: dict[str, Any]) -> list[RenderableType]:
    return [
        Text(f"release {each['release']} is sent nowhere: {each['reason']}", style="bold red")
        for each in status["refused_releases"]
    ]


def _conservation(status: dict[str, Any]) -> RenderableType:
    counts = dict(status["conservation"])
    received = counts.pop("received")
    parts = " + ".join(f"{count} {name}" for name, count in counts.items())
    balanced = received == sum(counts.values())
    return Text(
        f"instances: {received} received = {parts}" + ("" if balanced else "   NOT BALANCED"),
        style="" if balanced else "bold red",
    )
