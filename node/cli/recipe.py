"""How a file is treated from the command line: with the node's profile and key, or named ones."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from node.cli.options import MISCONFIGURED, leave, leave_misconfigured, read_config
from node.config import Mistake, NodeConfig
from node.profile.key import KEY_BYTES, KeyInvalid, KeyMissing, load_key
from node.profile.load import ProfileError, load_profile
from node.profile.profile import Profile
from node.profile.recipe import Recipe


def recipe_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--profile`, `--key` and `--throwaway-key` to a verb."""
    for option in (
        click.option(
            "--throwaway-key", is_flag=True,
            help="A random key for this run only: its pseudonyms never come again.",
        ),
        click.option(
            "--key", type=click.Path(path_type=Path), metavar="FILE",
            help="The pseudonym key; else the one of the configured data_dir.",
        ),
        click.option(
            "--profile", metavar="P",
            help="A profile's name or path; else that of the first route.",
        ),
    ):  # fmt: skip
        verb = option(verb)
    return verb


def make_recipe(
    config_path: Path | None, profile: str | None, key: Path | None, throwaway_key: bool
) -> Recipe:
    """Give the recipe that these options name; leave with exit code 2 where there is none."""
    if key and throwaway_key:
        raise click.UsageError("--key or --throwaway-key, not both")
    config = read_config(config_path)
    route = config.effective_routes[0]
    return Recipe(
        profile=read_profile(config, profile or route.profile),
        key=secrets.token_bytes(KEY_BYTES) if throwaway_key else _key(config, key),
        default_issuer=route.default_issuer,
        assume_charset=route.assume_charset,
    )


def read_profile(config: NodeConfig, name: str) -> Profile:
    """Load a profile by name or path; leave with every mistake in it and exit code 2."""
    try:
        return load_profile(name, config.folder)
    except ProfileError as error:
        mistakes = [Mistake(mistake.path, mistake.message) for mistake in error.mistakes]
        leave_misconfigured(error.source, mistakes)


def _key(config: NodeConfig, named: Path | None) -> bytes:
    path = named or config.keys_dir / "pseudonym.key"
    try:
        return load_key(path)
    except KeyMissing:
        if named:
            leave(f"there is no key {named}", MISCONFIGURED)
        leave(
            f"there is no pseudonym key at {path}: name one with --key FILE, or take a random one"
            " for this run with --throwaway-key",
            MISCONFIGURED,
        )
    except KeyInvalid as error:
        leave(str(error), MISCONFIGURED)
