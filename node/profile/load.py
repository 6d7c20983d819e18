"""Read a profile: TOML in, a `Profile` out, or every mistake at once with its place."""

from __future__ import annotations

import tomllib
from pathlib import Path

from node.profile.mistakes import Mistake, ProfileError
from node.profile.profile import Profile
from node.profile.sections import read_sections

__all__ = ["SHIPPED", "ProfileError", "find_profile", "load_profile", "profile_names"]

SHIPPED = Path(__file__).parent / "shipped"


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
    profile = read_sections(raw, path, mistakes)
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
