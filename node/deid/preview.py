"""What de-identifying an instance would change, element by element: for a person to read.

The instance is de-identified for good, into a temporary file, and the two are laid side by side.
So a preview cannot differ from what the node does. What it shows is PHI.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import calcsize, unpack

from node.deid import normalise, reader
from node.deid.charset import decode_leniently, encoding_of
from node.deid.element import Element, tag_of
from node.deid.engine import deidentify
from node.deid.outcome import Quarantined
from node.deid.reader import Instance
from node.profile.defaults import TEXT
from node.profile.recipe import Recipe
from node.profile.tables import attribute

_LONGEST = 120  # characters of a value that are shown
_MOST_NUMBERS = 8
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q",
            "OF": "f", "OD": "d", "OL": "I", "OV": "Q"}  # fmt: skip
_WORDS = TEXT | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "PN", "TM", "UI", "UR"}
_CHARACTER_SET = 0x00080005


@dataclass(frozen=True, slots=True)
class Change:
    """One element that differs. `before` and `after` are None where it is not there.

    `path` is as in (0040,A730)[1].(0040,A160); `action` is the rule's code or the site's verb.
    """

    path: str
    keyword: str
    vr: str
    action: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class _Shown:
    tag: int
    vr: str
    raw: bytes
    text: str


def preview(source: Path, recipe: Recipe) -> list[Change]:
    """Give the changes in the order of the data set; Pixel Data are left out.

    Raises as `deidentify` does.
    """
    with tempfile.TemporaryDirectory(prefix="deid-preview-") as folder:
        target = Path(folder) / "after.dcm"
        deidentify(source, target, recipe)
        before, after = _flat(source, recipe), _flat(target, recipe)
    changes: list[Change] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is not None and new is not None and old.raw == new.raw:
            continue
        shown = new or old
        if shown is None:
            continue
        known = attribute(shown.tag)
        changes.append(
            Change(
                path=_name(path),
                keyword=known.keyword if known else "",
                vr=shown.vr,
                action=_action(recipe, shown),
                before=old.text if old else None,
                after=new.text if new else None,
            )
        )
    return changes


def _flat(file: Path, recipe: Recipe) -> dict[tuple[int, ...], _Shown]:
    """Give every element by its path: tags and, behind a sequence's, the item's number."""
    flat: dict[tuple[int, ...], _Shown] = {}
    with reader.opened(file) as instance:
        encoding = encoding_of(instance.value(_CHARACTER_SET), recipe.assume_charset)
        for stretch in instance.stretches:
            for element in stretch.elements:
                buffer, whole = instance.in_buffer(stretch, element)
                flat.update(_flat_element(instance, buffer, whole, (), encoding))
    return flat


def _flat_element(
    instance: Instance, buffer: bytes, element: Element, path: tuple[int, ...], encoding: str
) -> Iterator[tuple[tuple[int, ...], _Shown]]:
    tag, key, _, start, end, _ = element
    vr = _vr(key, tag)
    path = (*path, tag)
    raw = buffer[start:end]
    try:
        items = _items(instance, buffer, element, vr, len(path))
    except Quarantined:
        items = None
    if items is None:
        yield path, _Shown(tag, vr, raw, _text(vr, raw, encoding))
        return
    inner, parts = items
    yield path, _Shown(tag, "SQ", b"", f"{len(parts)} item(s)")
    for number, item in enumerate(parts, 1):
        for each in item:
            yield from _flat_element(instance, inner, each, (*path, number), encoding)


def _items(
    instance: Instance, buffer: bytes, element: Element, vr: str, depth: int
) -> tuple[bytes, list[list[Element]]] | None:
    _, key, _, start, end, items = element
    if vr != "SQ" and items is None:
        return None
    if key[4:] == b"UN":
        buffer = normalise.from_unknown(buffer[start:end], depth)
        return normalise.items_within(buffer, 0, len(buffer), depth, implicit=False)
    if items is None:
        return normalise.items_within(buffer, start, end, depth, implicit=instance.implicit)
    return buffer, items


def _vr(key: bytes, tag: int) -> str:
    told = key[4:].decode("latin-1")
    known = attribute(tag)
    if told not in ("", "UN"):
        return told
    return known.vr.split(" or ")[0] if known else "UN"


def _text(vr: str, raw: bytes, encoding: str) -> str:
    if vr in _WORDS:
        text = decode_leniently(raw, encoding).strip(" \0")
        return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    code = _NUMBERS.get(vr)
    if vr == "AT" and len(raw) == 4:  # noqa: PLR2004 -- one tag
        return f"({tag_of(raw) >> 16:04X},{tag_of(raw) & 0xFFFF:04X})"
    if code and len(raw) % calcsize(code) == 0 and len(raw) <= _MOST_NUMBERS * calcsize(code):
        numbers = unpack(f"<{len(raw) // calcsize(code)}{code}", raw)
        return "\\".join(f"{number:g}" if code in "fd" else str(number) for number in numbers)
    return f"{len(raw)} bytes"


def _action(recipe: Recipe, shown: _Shown) -> str:
    if shown.tag >> 16 & 1:
        return "X" if "retain-safe-private" not in recipe.profile.options else "X/C"
    rule = recipe.profile.public(shown.tag, shown.vr)
    return rule.verb or rule.code


def _name(path: tuple[int, ...]) -> str:
    """Write a path: every second part is an item's number."""
    parts: list[str] = []
    for at in range(0, len(path), 2):
        item = f"[{path[at + 1]}]" if at + 1 < len(path) else ""
        parts.append(f"({path[at] >> 16:04X},{path[at] & 0xFFFF:04X}){item}")
    return ".".join(parts)
