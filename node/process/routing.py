"""Which route does a study take? The first that matches; chosen once, at completion."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from node.config import Route

#: Objects that accompany images: they go where their study's images go.
COMPANIONS = frozenset({"SR", "PR", "KO"})


class NoRoute(Exception):  # noqa: N818 -- a fact about the study
    """No one route can be chosen; the text says why, and a person must."""


@dataclass(frozen=True, slots=True)
class Sender:
    """By which AE titles instances came."""

    called: str
    calling: str


def choose_route(
    routes: Sequence[Route], senders: Collection[Sender], modalities: Collection[str]
) -> Route:
    """Choose the route of a study from how its instances came and what they are.

    A route's modality is compared with that of any instance that is not SR, PR or KO, or of any
    instance where the study has no other.

    Raises
    ------
    NoRoute
        When none matches, or instances that came by different AE titles disagree.
    """
    chosen: dict[str, Route] = {}
    for sender in senders:
        matching = matching_routes(routes, sender.called, sender.calling, modalities)
        if not matching:
            raise NoRoute("no route matches")
        chosen[matching[0].name] = matching[0]
    if len(chosen) != 1:
        raise NoRoute(f"its instances came for different routes ({', '.join(sorted(chosen))})")
    return next(iter(chosen.values()))


def matching_routes(
    routes: Sequence[Route], called: str, calling: str, modalities: Collection[str]
) -> list[Route]:
    """List the routes that instances of one sender match, in their order."""
    images = [modality for modality in modalities if modality not in COMPANIONS] or modalities
    return [
        route
        for route in routes
        if fnmatchcase(called, route.called_ae_title)
        and fnmatchcase(calling, route.calling_ae_title)
        and (route.modality == "*" or any(fnmatchcase(one, route.modality) for one in images))
    ]
