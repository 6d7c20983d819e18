"""Look at the files that a configuration names, before anything starts.

Works on plain tables, so that a file that is missing is told in the same breath as a key that is
unknown, when the configuration as a whole does not load.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from node.config import Mistake, NodeConfig
from node.config.loopback import is_loopback

ALL_ROLES = ("receive", "process", "forward", "web")


def tables_of(config: NodeConfig | None, path: Path | None) -> Mapping[str, Any]:
    """Give the configuration as tables: the checked one, else the file as it was read."""
    if config is not None:
        return config.model_dump()
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}  # told already


def check_files(
    tables: Mapping[str, Any], beside: Path | None, roles: tuple[str, ...]
) -> list[Mistake]:
    """Find profiles that do not load and files that are not there, for the roles that need them."""
    mistakes: list[Mistake] = []
    folder = beside or Path()
    if "process" in roles:
        mistakes += _profiles(tables, beside)
        for number, route in _rows(tables, "routes"):
            where = f"routes[{number}]"
            mistakes += _missing(folder, where, route, ("patients_allow", "patients_deny"))
    if "web" in roles:
        mistakes += _web(folder, _table(tables, "web"))
    if "receive" in roles:
        tls = _table(_table(tables, "receive"), "tls")
        names = ("certificate", "private_key", "client_ca")
        mistakes += _missing(folder, "receive.tls", tls, names)
    if "forward" in roles:
        mistakes += _extras(tables)
        for number, destination in _rows(tables, "destinations"):
            where = f"destinations[{number}]"
            mistakes += _missing(folder, where, destination, ("credential",))
            tls = _table(destination, "tls")
            mistakes += _missing(folder, f"{where}.tls", tls, ("ca", "certificate", "private_key"))
    return mistakes


def _profiles(tables: Mapping[str, Any], beside: Path | None) -> Iterator[Mistake]:
    from node.profile.load import ProfileError, load_profile  # noqa: PLC0415 -- `process` only

    for number, route in _rows(tables, "routes"):
        name = route.get("profile", "basic")
        if not isinstance(name, str):
            continue
        try:
            load_profile(name, beside)
        except ProfileError as error:
            for mistake in error.mistakes:
                yield Mistake(f"routes[{number}].profile", f"{name!r}: {mistake}")


def _web(folder: Path, web: Mapping[str, Any]) -> Iterator[Mistake]:
    from node.web.users import UsersInvalid, read_users  # noqa: PLC0415 -- `web` only

    yield from _missing(folder, "web.tls", _table(web, "tls"), ("certificate", "private_key"))
    users = web.get("users")
    if isinstance(users, str | Path):
        try:
            read_users(folder / users)
        except UsersInvalid as error:
            yield Mistake("web.users", str(error))
    if not is_loopback(str(web.get("host", "127.0.0.1"))) and not (users and web.get("tls")):
        yield Mistake("web.host", "beyond loopback the page needs [web] users and [web.tls]")


def _extras(tables: Mapping[str, Any]) -> Iterator[Mistake]:
    for number, destination in _rows(tables, "destinations"):
        if destination.get("type") == "stow" and find_spec("dicomweb_client") is None:
            from node.forward.stow import NO_EXTRA  # noqa: PLC0415 -- `forward` only

            yield Mistake(f"destinations[{number}].type", NO_EXTRA)


def _missing(
    folder: Path, where: str, table: Mapping[str, Any], names: tuple[str, ...]
) -> Iterator[Mistake]:
    for name in names:
        value = table.get(name)
        if isinstance(value, str | Path) and not (folder / value).is_file():
            yield Mistake(f"{where}.{name}", f"there is no file {folder / value}")


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key)
    return value if isinstance(value, Mapping) else {}


def _rows(table: Mapping[str, Any], key: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    value = table.get(key)
    for number, row in enumerate(value if isinstance(value, list | tuple) else ()):
        if isinstance(row, Mapping):
            yield number, row
