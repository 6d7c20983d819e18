"""`deidentify` and `preview`: the engine and the validator on files, without the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click
from rich.text import Text

from node.cli.options import FAILED, config_option, json_option, leave, print_json
from node.cli.printing import print_table
from node.cli.reading import told
from node.cli.recipe import make_recipe, recipe_options
from node.cli.treating import Treated, treat_files
from node.deid import Change, Held, Quarantined
from node.deid import preview as preview_one
from node.status.view import grid

source_argument = click.argument(
    "source", metavar="SRC", type=click.Path(exists=True, path_type=Path)
)


@click.command()
@source_argument
@click.argument("target", metavar="DST", type=click.Path(path_type=Path))
@recipe_options
@config_option
@json_option
@told
def deidentify(
    source: Path,
    target: Path,
    profile: str | None,
    key: Path | None,
    throwaway_key: bool,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """De-identify and validate a file or a folder; exit 1 if anything was held or quarantined.

    Of a folder, DST is a folder that gets STUDY/INSTANCE.dcm; nothing there is ever overwritten.
    """
    recipe = make_recipe(config_path, profile, key, throwaway_key)
    if source.is_file() and not target.is_dir() and target.exists():
        leave(f"{target} is there already, and nothing is overwritten")
    treated = treat_files(list(files_in(source)), source, target, recipe)
    if as_json:
        print_json([asdict(one) for one in treated])
    else:
        for one in treated:
            _tell(one)
    if any(one.outcome in ("held", "quarantined") for one in treated):
        raise SystemExit(FAILED)


@click.command()
@source_argument
@recipe_options
@config_option
@json_option
@told
def preview(
    source: Path,
    profile: str | None,
    key: Path | None,
    throwaway_key: bool,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Show what would change in a file or each of a folder, element by element. It shows PHI."""
    recipe = make_recipe(config_path, profile, key, throwaway_key)
    failed = False
    shown = []
    for path in files_in(source):
        changes: list[Change] = []
        why = ""
        try:
            changes = preview_one(path, recipe)
        except (Quarantined, Held) as outcome:
            why, failed = outcome.reason, True
        shown.append({"source": str(path), "why": why, "changes": [asdict(c) for c in changes]})
        if not as_json:
            _draw(path, why, changes)
    if as_json:
        print_json(shown)
    if failed:
        raise SystemExit(FAILED)


def files_in(source: Path) -> Iterator[Path]:
    """Give the file, or every file below the folder, in order; no symlink is followed."""
    if source.is_file():
        yield source
        return
    yield from sorted(
        path for path in source.rglob("*") if path.is_file() and not path.is_symlink()
    )


def _tell(one: Treated) -> None:
    where = f" -> {one.target}" if one.target else ""
    why = f": {one.why}" if one.why else ""
    click.echo(f"{one.source}: {one.outcome}{where}{why}")


def _draw(path: Path, why: str, changes: list[Change]) -> None:
    click.echo(f"{path}: {why or f'{len(changes)} elements change'}")
    if not changes:
        return
    rows = grid("attribute", "keyword", "VR", "action", "before", "after")
    for change in changes:
        rows.add_row(
            change.path, change.keyword, change.vr, change.action, _value(change.before),
            _value(change.after),
        )  # fmt: skip
    print_table(rows)


def _value(value: str | None) -> Text:
    if value is None:
        return Text("absent", style="dim")
    return Text(value) if value else Text("empty", style="dim")
