"""When is a study complete? A pure question of its times, its route's policy, and now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.config import NodeConfig, Route
from node.process.routing import matching_routes


@dataclass(frozen=True, slots=True)
class Policy:
    """How long to wait for instances, in seconds."""

    quiet_seconds: float
    max_seconds: float


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How a study's instances have come so far; times are steady seconds."""

    first: float
    last: float
    association_open: bool
    complete_now: bool = False


def is_complete(arrivals: Arrivals, policy: Policy, now: float) -> bool:
    """Tell whether to wait no longer: by hand, too long already, or quiet and nobody sends."""
    if arrivals.complete_now or now - arrivals.first >= policy.max_seconds:
        return True
    return now - arrivals.last >= policy.quiet_seconds and not arrivals.association_open


def policy_for(config: NodeConfig, called: str, calling: str, modalities: Sequence[str]) -> Policy:
    """Give the policy of the route that the study takes as far as one can tell now.

    Where several routes might be taken, or none, the node's own policy holds.
    """
    routes = matching_routes(config.effective_routes, called, calling, modalities)
    return _policy(config, routes[0] if routes else None)


def shortest_wait(config: NodeConfig) -> float:
    """Give the shortest time in which any study might become complete."""
    policies = [_policy(config, route) for route in (None, *config.effective_routes)]
    return min(min(policy.quiet_seconds, policy.max_seconds) for policy in policies)


def _policy(config: NodeConfig, route: Route | None) -> Policy:
    quiet, longest = config.completion.quiet_seconds, config.completion.max_seconds
    if route is not None and route.quiet_seconds is not None:
        quiet = route.quiet_seconds
    if route is not None and route.max_seconds is not None:
        longest = route.max_seconds
    return Policy(quiet, longest)
