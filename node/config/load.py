"""Find `node.toml`, read it, and tell every mistake at once, each with its place in the file."""

from __future__ import annotations

import os
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from node.config.node_config import ENV_PREFIX, NodeConfig
from node.config.sections import SYSTEM_DATA, NodeSection

SYSTEM_CONFIG = Path("/etc/deid-node/node.toml")
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake of a configuration: where it stands and what is wrong."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ConfigError(Exception):
    """The configuration has mistakes; `mistakes` holds all of them."""

    def __init__(self, source: str, mistakes: list[Mistake]) -> None:
        super().__init__(f"{source}: {len(mistakes)} mistake(s)")
        self.source = source
        self.mistakes = mistakes


def find_config(given: Path | None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Find the file: `-c`, else $DEID_NODE_CONFIG, else the system's, else none (defaults)."""
    if given is not None:
        return given
    named = environment.get(f"{ENV_PREFIX}CONFIG")
    if named:
        return Path(named)
    return SYSTEM_CONFIG if SYSTEM_CONFIG.is_file() else None


def load_config(path: Path | None) -> NodeConfig:
    """Read and check a configuration; with no path, the defaults.

    Raises
    ------
    ConfigError
        With every mistake found, each with its path in the file.
    """
    source = str(path) if path else "the default configuration"
    raw = _read_toml(path) if path else {}
    mistakes: list[Mistake] = []
    config: NodeConfig | None = None
    try:
        config = NodeConfig(**raw)
    except ValidationError as error:
        details = error.errors(include_url=False)
        deeper = {detail["loc"][:-1] for detail in details}
        # A list is called too short when its only item is wrong: the item's own line says it all.
        mistakes += [_mistake(detail) for detail in details if detail["loc"] not in deeper]
    mistakes += cross_check(raw)
    if mistakes or config is None:
        raise ConfigError(source, mistakes)
    if path is not None:
        folder = path.resolve().parent
        config = _beside(folder, config)
        config._folder = folder  # noqa: SLF001 -- set here, once; frozen for all others
    if path is None and config.node == NodeSection():
        return config.model_copy(update={"node": NodeSection(data_dir=default_data_dir())})
    return config


def default_data_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Without a configuration: /var/lib where we may write there, else the user's state folder."""
    if SYSTEM_DATA.is_dir() and os.access(SYSTEM_DATA, os.W_OK):
        return SYSTEM_DATA
    if not SYSTEM_DATA.exists() and os.access(SYSTEM_DATA.parent, os.W_OK):
        return SYSTEM_DATA
    state = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "deid-node"


def cross_check(raw: Mapping[str, Any]) -> list[Mistake]:
    """Find what no single key shows: names used twice, and names that mean nothing.

    Works on the file as read, so that these mistakes are told beside those of types and keys.
    """
    routes = _tables(raw, "routes")
    destinations = _tables(raw, "destinations")
    known = {str(table.get("name")) for table in destinations} or {"delivered"}
    mistakes = _repeated("routes", routes) + _repeated("destinations", destinations)
    for number, route in enumerate(routes):
        wanted = route.get("destinations", [])
        if not isinstance(wanted, list):
            continue
        if not wanted:
            mistakes.append(
                Mistake(f"routes[{number}].destinations", "a route needs a destination")
            )
        mistakes += [
            Mistake(
                f"routes[{number}].destinations",
                f"no destination is named {name!r} (known: {', '.join(sorted(known))})",
            )
            for name in wanted
            if name not in known
        ]
    return mistakes


def _beside(folder: Path, section: Model) -> Model:
    """Take what is relative as beside the file: a unit starts in another folder than its author."""
    found: dict[str, Any] = {}
    for name, value in section:
        if isinstance(value, Path):
            found[name] = folder / value
        elif isinstance(value, BaseModel):
            found[name] = _beside(folder, value)
        elif isinstance(value, tuple):
            found[name] = tuple(
                _beside(folder, one) if isinstance(one, BaseModel) else one for one in value
            )
    return section.model_copy(update=found)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), [Mistake("", f"cannot be read: {error.strerror}")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [Mistake("", f"is not TOML: {error}")]) from None


def _tables(raw: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = raw.get(key, [])
    return [table for table in value if isinstance(table, dict)] if isinstance(value, list) else []


def _repeated(key: str, tables: list[dict[str, Any]]) -> list[Mistake]:
    names = Counter(str(table["name"]) for table in tables if "name" in table)
    return [
        Mistake(f"{key}[].name", f"{name!r} is used {count} times; a name must be its own")
        for name, count in names.items()
        if count > 1
    ]


def _mistake(detail: Any) -> Mistake:
    where = ""
    for part in detail["loc"]:
        if isinstance(part, int):
            where += f"[{part}]"
        elif part not in ("dicom", "stow", "folder"):
            where += f".{part}" if where else str(part)
    if detail["type"] == "extra_forbidden":
        return Mistake(where, "there is no such key")
    if detail["type"] == "missing":
        return Mistake(where, "is missing")
    return Mistake(where, detail["msg"].removeprefix("Value error, "))
