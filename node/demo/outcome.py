"""What came of the demo: checked against the files that the research PACS holds, then told."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from rich.console import Console
from rich.table import Table

from node.config import NodeConfig
from node.demo.patients import PRIVATE, Study, planted
from node.demo.place import Place
from node.status import status

#: What the before/after table shows of one instance.
SHOWN = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientAddress", "StudyDate",
    "AccessionNumber", "StudyInstanceUID", "SOPInstanceUID", "InstitutionName",
    "ReferringPhysicianName", "StudyDescription", "ImageComments", "Modality", "SliceThickness",
    "PatientIdentityRemoved",
)  # fmt: skip


def check(place: Place, studies: Sequence[Study], now: dict[str, Any]) -> list[str]:
    """Compare the files at the PACS with what was sent; give what is wrong, in words."""
    wrong = []
    expected = sum(len(study.instances) for study in studies if not study.must_be_held)
    files = arrived(place)
    if len(files) != expected:
        wrong.append(f"{len(files)} instances are at the research PACS; {expected} should be")
    held = sum(len(study.instances) for study in studies if study.must_be_held)
    if now["conservation"]["held"] != held:
        wrong.append(f"{now['conservation']['held']} instances are held; {held} should be")
    strings = {string for study in studies for string in planted(study)}
    leaks = [path.name for path in files if _holds_any(path.read_bytes(), strings)]
    if leaks:
        wrong.append(f"{len(leaks)} files at the PACS hold an original identifier: {leaks[0]}")
    return wrong


def arrived(place: Place) -> list[Path]:
    """Give the files that the research PACS holds."""
    return sorted(place.pacs.rglob("*.dcm"))


def tell(
    console: Console, place: Place, config: NodeConfig, studies: Sequence[Study], wrong: list[str]
) -> None:
    """Print the summary."""
    now = status(config)
    counts = now["conservation"]
    files = arrived(place)
    console.print()
    console.rule("What happened")
    console.print(
        f"received {counts['received']} instances of {len(studies)} studies,"
        f" released {counts['released']}, held {counts['held']}"
    )
    for row in now["studies"]:
        if row["state"] == "HELD":
            console.print(f"  held: study {row['study']} ({row['modality']}): {row['why']}")
    console.print(
        f"at the research PACS: {len(files)} files; none of the planted names, IDs, dates and UIDs"
        " is in any byte of them"
        if not wrong
        else f"at the research PACS: {len(files)} files"
    )
    console.print(_before_and_after(studies[0].instances[0], files))
    for line in wrong:
        console.print(f"[bold red]wrong:[/] {line}")
    _tell_where(console, place, now)


def _before_and_after(before: Dataset, files: list[Path]) -> Table:
    table = Table("attribute", "before (at the modality)", "after (at the research PACS)")
    after = next(_same_image(before, files), Dataset())
    for keyword in SHOWN:
        table.add_row(keyword, _text(before, keyword), _text(after, keyword))
    table.add_row(
        "(0009,1001) private",
        str(before[PRIVATE].value),
        "kept" if PRIVATE in after else "[dim]absent[/]",
    )
    return table


def _same_image(before: Dataset, files: list[Path]) -> Iterator[Dataset]:
    for path in files:
        after = pydicom.dcmread(path, stop_before_pixels=True)
        if (after.Modality, after.InstanceNumber) == (before.Modality, before.InstanceNumber):
            yield after


def _text(dataset: Dataset, keyword: str) -> str:
    if keyword not in dataset:
        return "[dim]absent[/]"
    value = str(dataset[keyword].value)
    return value or "[dim]empty[/]"


def _tell_where(console: Console, place: Place, now: dict[str, Any]) -> None:
    where = Table.grid(padding=(0, 2))
    where.add_row("at the PACS", str(place.pacs))
    where.add_row("originals", str(place.data / "inbox" / "studies"))
    where.add_row("released", str(place.data / "outbox" / "releases"))
    where.add_row("the node's log", str(place.log))
    where.add_row("its configuration", str(place.config))
    console.print(where)
    held = next((row["study"] for row in now["studies"] if row["state"] == "HELD"), None)
    console.print("\nGo on with:")
    for command in ("status", "studies", *((f"held show {held}",) if held else ())):
        console.print(
            f"  {_program()} {command} -c {place.config}", soft_wrap=True, highlight=False
        )
    console.print(f"  {_program()} demo --keep     leaves the node and its status page running")


def _program() -> str:
    """Say how this program was called, for it need not be on the PATH."""
    called = Path(sys.argv[0])
    if called.name != "deid-node":
        return "python -m node"
    return called.name if shutil.which(called.name) else str(called)


def _holds_any(content: bytes, strings: set[bytes]) -> bool:
    return any(string in content for string in strings)
