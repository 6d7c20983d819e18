"""The sections of a profile's TOML, read one by one; each adds its mistakes and goes on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from node.profile.actions import NOT_DONE, Option, Rule
from node.profile.mistakes import Mistake
from node.profile.pixel_rules import PIXEL_RULES, PixelAction
from node.profile.profile import ANY, Profile
from node.profile.site_rules import RuleMistake, read_rule
from node.profile.tables import storage_classes

#: The one base there is: the Basic Application Level Confidentiality Profile (PS3.15 E.2).
BASE = "basic"
_SECTIONS = {"base", "options", "rules", "pseudonyms", "pixels", "accept"}
_PREFIX = re.compile(r"[A-Za-z0-9]{0,3}")
_DOMAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_MODALITY = re.compile(r"[A-Z0-9_ ]{1,16}")


def read_sections(raw: Mapping[str, Any], path: Path, mistakes: list[Mistake]) -> Profile:
    """Read every section, however many mistakes the one before had; add them to `mistakes`."""
    mistakes += [Mistake(key, "there is no such key") for key in raw.keys() - _SECTIONS]
    base = raw.get("base")
    if base != BASE:
        mistakes.append(Mistake("base", f'must be "{BASE}", the profile of PS3.15 E.2'))
    options = _options(raw.get("options", []), mistakes)
    public, private = _rules(_table(raw, "rules", mistakes), mistakes)
    pseudonyms = _table(raw, "pseudonyms", mistakes, {"prefix", "domain", "lookup"})
    accept = _table(raw, "accept", mistakes, {"sop_classes", "modalities"})
    name = path.stem
    return Profile(
        name=name,
        base=BASE,
        options=options,
        domain=_text(pseudonyms, "pseudonyms.domain", name, _DOMAIN, mistakes),
        prefix=_text(pseudonyms, "pseudonyms.prefix", "P", _PREFIX, mistakes),
        pixels=_pixels(_table(raw, "pixels", mistakes), mistakes),
        accept_sop_classes=_accepted(accept, "sop_classes", mistakes),
        accept_modalities=_accepted(accept, "modalities", mistakes),
        lookup=_lookup(pseudonyms, path, mistakes),
        site_rules=public,
        site_private_rules=private,
    )


def _table(
    raw: Mapping[str, Any],
    key: str,
    mistakes: list[Mistake],
    known: set[str] | None = None,
) -> Mapping[str, Any]:
    value = raw.get(key, {})
    if not isinstance(value, dict):
        mistakes.append(Mistake(key, f"must be a table: [{key}]"))
        return {}
    if known is not None:
        unknown = sorted(value.keys() - known)
        mistakes += [Mistake(f"{key}.{name}", "there is no such key") for name in unknown]
    return value


def _strings(value: Any, where: str, mistakes: list[Mistake]) -> list[tuple[str, str]]:
    """Read a list of texts; each with its place."""
    if not isinstance(value, list):
        mistakes.append(Mistake(where, "must be a list"))
        return []
    places = [(f"{where}[{number}]", item) for number, item in enumerate(value)]
    mistakes += [Mistake(at, "must be text") for at, item in places if not isinstance(item, str)]
    return [(at, item) for at, item in places if isinstance(item, str)]


def _options(value: Any, mistakes: list[Mistake]) -> frozenset[Option]:
    options: dict[Option, str] = {}
    for where, name in _strings(value, "options", mistakes):
        if name in NOT_DONE:
            mistakes.append(Mistake(where, f"{name} is an option that this node does not do"))
        elif name not in set(Option):
            known = ", ".join(Option)
            mistakes.append(Mistake(where, f"there is no option {name!r} (known: {known})"))
        elif Option(name) in options:
            mistakes.append(Mistake(where, f"{name} is named twice"))
        else:
            options[Option(name)] = where
    modified = options.get(Option.RETAIN_LONGITUDINAL_MODIFIED_DATES)
    if modified and Option.RETAIN_LONGITUDINAL_FULL_DATES in options:
        mistakes.append(
            Mistake(modified, "dates cannot be both full and modified (PS3.15 E.3.6); name one")
        )
    return frozenset(options)


def _rules(
    lines: Mapping[str, Any], mistakes: list[Mistake]
) -> tuple[dict[int, Rule], dict[tuple[int, str, int], Rule]]:
    public: dict[int, Rule] = {}
    private: dict[tuple[int, str, int], Rule] = {}
    for where, what in lines.items():
        try:
            target, rule = read_rule(where, what)
        except RuleMistake as mistake:
            mistakes.append(Mistake(f"rules.{where}", str(mistake)))
            continue
        if target in public or target in private:
            mistakes.append(Mistake(f"rules.{where}", "a rule above is for the same attribute"))
        elif isinstance(target, int):
            public[target] = rule
        else:
            private[target] = rule
    return public, private


def _text(
    section: Mapping[str, Any], where: str, default: str, shape: re.Pattern[str],
    mistakes: list[Mistake],
) -> str:  # fmt: skip
    value = section.get(where.rpartition(".")[2], default)
    if not isinstance(value, str) or not shape.fullmatch(value):
        mistakes.append(Mistake(where, _SHAPES[shape]))
        return default
    return value


_SHAPES = {
    _PREFIX: "must be at most 3 letters or digits, so that the pseudonym fits everywhere",
    _DOMAIN: "must be 1 to 64 letters, digits, dots, dashes or underscores",
}


def _pixels(section: Mapping[str, Any], mistakes: list[Mistake]) -> dict[str, PixelAction]:
    pixels = {name: default for name, (default, _) in PIXEL_RULES.items()}
    for name, action in section.items():
        where = f"pixels.{name}"
        if name not in PIXEL_RULES:
            known = ", ".join(PIXEL_RULES)
            mistakes.append(Mistake(where, f"there is no such rule (known: {known})"))
        elif not isinstance(action, str) or action not in set(PixelAction):
            mistakes.append(Mistake(where, f"must be one of {', '.join(PixelAction)}"))
        else:
            pixels[name] = PixelAction(action)
    return pixels


def _accepted(section: Mapping[str, Any], key: str, mistakes: list[Mistake]) -> frozenset[str]:
    """Read an accept list; SOP classes by UID or by the standard's keyword."""
    where = f"accept.{key}"
    if key not in section:
        return frozenset({ANY})
    by_keyword = {keyword: uid for uid, keyword in storage_classes().items()}
    accepted = set()
    for at, item in _strings(section[key], where, mistakes):
        value = by_keyword.get(item, item) if key == "sop_classes" else item
        shape = _UID if key == "sop_classes" else _MODALITY
        if value != ANY and not shape.fullmatch(value):
            kind = "UID or keyword of a SOP class" if key == "sop_classes" else "modality"
            mistakes.append(Mistake(at, f"{item!r} is no {kind}"))
        accepted.add(value)
    if not accepted:
        mistakes.append(Mistake(where, 'an empty list would take nothing; "*" takes all'))
    return frozenset(accepted)


def _lookup(section: Mapping[str, Any], path: Path, mistakes: list[Mistake]) -> Path | None:
    """Find the lookup CSV; a relative path is beside the profile."""
    where = "pseudonyms.lookup"
    value = section.get("lookup", "")
    if not isinstance(value, str):
        mistakes.append(Mistake(where, "must be the path of a CSV file"))
        return None
    if not value:
        return None
    lookup = path.absolute().parent / value
    if not lookup.is_file():
        mistakes.append(Mistake(where, "there is no such file"))
    return lookup
