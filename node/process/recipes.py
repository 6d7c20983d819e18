"""All that decides how a study's instances are treated, as one digest.

Outputs of two digests must not share a release: one release is made by one recipe.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from node import __version__
from node.config import Route
from node.process.patients import Patient
from node.process.workplace import Workplace
from node.profile.lookup import LookupInvalid, NotListed, pseudonym_of
from node.profile.recipe import METHOD_VERSION, Recipe


def recipe_digest(place: Workplace, route: Route, patients: Iterable[Patient]) -> str:
    """Digest a route's recipe as it is now, with what its lookup gives for these patients.

    Of the lookup only these patients' rows count: it grows while others' studies are held.
    """
    recipe = place.recipes[route.name]
    content = {
        "software": [__version__, METHOD_VERSION],
        "route": route.name,
        "profile": [recipe.profile.name, recipe.profile.digest],
        "key": place.key_fingerprint,
        "default_issuer": recipe.default_issuer,
        "assume_charset": recipe.assume_charset,
        "syntaxes": place.wishes(route.name),
        "lookup": sorted({text for one in patients if (text := _looked_up(recipe, one))}),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _looked_up(recipe: Recipe, patient: Patient) -> str:
    if recipe.profile.lookup is None:
        return ""
    try:
        return pseudonym_of(recipe.profile.lookup, patient.issuer, patient.patient_id)
    except (NotListed, LookupInvalid) as reason:
        return str(reason)
