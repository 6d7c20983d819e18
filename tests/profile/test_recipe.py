"""The recipe: what goes to engine and validator."""

from __future__ import annotations

import pickle

from node.profile import Recipe
from tests.profile.profiles import make_profile


def test_a_recipe_travels_to_a_worker_and_never_shows_its_key() -> None:
    """Pickled whole; its repr, which may end in a log, has no key."""
    recipe = Recipe(
        make_profile(), key=b"K" * 32, default_issuer="SITE", assume_charset="ISO_IR 100"
    )
    assert pickle.loads(pickle.dumps(recipe)) == recipe  # noqa: S301 -- our own bytes
    assert "KKKK" not in repr(recipe)
