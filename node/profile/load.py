"""Read a profile: TOML in, a `Profile` out, or every mistake at once with its place."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from node.profile.actions import NOT_DONE, Option, Rule
from node.profile.pixel_rules import PIXEL_RULES, PixelAction
from node.profile.profile import ANY, Profile
from node.profile.site_rules import RuleMistake, read_rule
from node.profile.tables import storage_classes

SHIPPED = Path(__file__).parent / "shipped"
#: The one base there is: the Basic Application Level Confidentiality Profile (PS3.15 E.2).
BASE = "basic"
_SECTIONS = {"base", "options", "rules", "pseudonyms", "pixels", "accept"}
_PREFIX = re.compile(r"[A-Za-z0-9]{0,3}")
_DOMAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_MODALITY = re.compile(r"[A-Z0-9_ ]{1,16}")


class Mistake(NamedTuple):
    """One mistake of a profile: where it stands and what is wrong.

    The configuration has one of its own; with it would come pydantic, which no worker needs.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ProfileError(Exception):
    """A profile cannot be used; `mistakes` holds all that is wrong with it."""

    def __init__(self, source: str, mistakes: list[Mistake]) -> None:
        super().__init__(f"{source}: {len(mistakes)} mistake(s)")
        self.source = source
        self.mistakes = mistakes


def load_profile(name_or_path: str, beside: Path | None = None) -> Profile:
    """Read and check a profile.

    Parameters
    ----------
    name_or_path
        A path ending in `.toml`, or a name: sought beside the configuration, then in the package.
    beside
        The configuration file or its folder; `profiles/NAME.toml` and `NAME.toml` there come first.

    Raises
    ------
    ProfileError
        With every mistake, each with its place in the file.
    """
    path = find_profile(name_or_path, beside)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileError(str(path), [Mistake("", f"cannot be read: {error.strerror}")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(str(path), [Mistake("", f"is not TOML: {error}")]) from None
    mistakes: list[Mistake] = []
    profile = _read(raw, path, mistakes)
    if mistakes:
        raise ProfileError(str(path), mistakes)
    return profile


def profile_names(beside: Path | None = None) -> list[str]:
    """Names that `load_profile` finds, sorted."""
    folders = [SHIPPED] if beside is None else [_base(beside) / "profiles", SHIPPED]
    return sorted({path.stem for folder in folders for path in folder.glob("*.toml")})


def find_profile(name_or_path: str, beside: Path | None = None) -> Path:
    """Find a profile's file; ProfileError, with the known names, if no folder has it."""
    if name_or_path.endswith(".toml") or "/" in name_or_path:
        path = Path(name_or_path)
        return (
            path if path.is_absolute() or beside is None or path.exists() else _base(beside) / path
        )
    for folder in _folders(beside):
        path = folder / f"{name_or_path}.toml"
        if path.is_file():
            return path
    known = ", ".join(profile_names(beside))
    raise ProfileError(name_or_path, [Mistake("", f"no profile has this name (known: {known})")])


def _base(beside: Path) -> Path:
    return beside if beside.is_dir() else beside.parent


def _folders(beside: Path | None) -> list[Path]:
    if beside is None:
        return [SHIPPED]
    return [_base(beside) / "profiles", _base(beside), SHIPPED]


def _read(raw: Mapping[str, Any], path: Path, mistakes: list[Mistake]) -> Profile:
    """Read every section, however many mistakes the one before had."""
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
        elif action not in set(PixelAction):
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
    value = section.get("lookup", "")
    if not isinstance(value, str):
        mistakes.append(Mistake("pseudonyms.lookup", "must be the path of a CSV file"))
        return None
    return path.absolute().parent / value if value else None
