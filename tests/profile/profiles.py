"""Profiles built for tests, without a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from node.profile import PIXEL_RULES, Option, Profile, load_profile


def make_profile(options: Iterable[Option] = (), domain: str = "tests") -> Profile:
    """Build a profile with these options and every default."""
    return Profile(
        name="tests",
        base="basic",
        options=frozenset(options),
        domain=domain,
        prefix="P",
        pixels={name: action for name, (action, _) in PIXEL_RULES.items()},
    )


def write_profile(folder: Path, text: str, name: str = "site") -> Path:
    """Write a profile's TOML."""
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def read_profile(folder: Path, text: str) -> Profile:
    """Write a profile's TOML and load it."""
    return load_profile(str(write_profile(folder, 'base = "basic"\n' + text)))
