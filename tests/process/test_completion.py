"""When a study is complete, and by which route it goes: pure questions."""

from __future__ import annotations

from typing import Any

import pytest

from node.config import NodeConfig, Route
from node.process.completion import Arrivals, Policy, is_complete, policy_for, shortest_wait
from node.process.routing import NoRoute, Sender, choose_route

POLICY = Policy(quiet_seconds=60, max_seconds=3600)
CT1 = Sender(called="DEIDNODE", calling="CT1")


@pytest.mark.parametrize(
    ("arrivals", "now", "complete"),
    [
        (Arrivals(first=0, last=0, association_open=False), 59.9, False),
        (Arrivals(first=0, last=0, association_open=False), 60, True),
        (Arrivals(first=0, last=50, association_open=False), 100, False),
        (Arrivals(first=0, last=0, association_open=True), 1000, False),
        (Arrivals(first=0, last=3599, association_open=True), 3600, True),
        (Arrivals(first=0, last=0, association_open=True, complete_now=True), 1, True),
        (Arrivals(first=0, last=0, association_open=False), -1e9, False),
    ],
)
def test_quiet_too_long_or_by_hand(arrivals: Arrivals, now: float, complete: bool) -> None:
    """A study is complete when it is quiet and nobody sends, at its maximum, or by hand."""
    assert is_complete(arrivals, POLICY, now) is complete


def routes(*tables: dict[str, Any]) -> list[Route]:
    """Make routes named by their order."""
    return [Route(**{"name": f"r{number}", **table}) for number, table in enumerate(tables)]


@pytest.mark.parametrize(
    ("tables", "modalities", "chosen"),
    [
        ([{}], ["CT"], "r0"),
        ([{"modality": "MR"}, {}], ["CT"], "r1"),
        ([{"modality": "CT"}, {}], ["PT", "CT"], "r0"),
        ([{"modality": "SR"}, {"modality": "CT"}], ["SR", "CT"], "r1"),
        ([{"modality": "SR"}, {"modality": "CT"}], ["SR"], "r0"),
        ([{"calling_ae_title": "MR*"}, {"calling_ae_title": "CT*"}], ["CT"], "r1"),
        ([{"called_ae_title": "TRIAL7"}, {}], ["CT"], "r1"),
    ],
)
def test_the_first_route_that_matches_wins(
    tables: list[dict[str, Any]], modalities: list[str], chosen: str
) -> None:
    """AE titles and the modality of any image decide; SR, PR and KO go with the images."""
    assert choose_route(routes(*tables), [CT1], modalities).name == chosen


def test_without_a_match_no_route_is_guessed() -> None:
    """No match is an answer of its own."""
    with pytest.raises(NoRoute, match="no route matches"):
        choose_route(routes({"modality": "MR"}), [CT1], ["CT"])


def test_instances_that_came_for_different_routes_disagree() -> None:
    """One study goes one way; which, a person must say."""
    two = routes({"called_ae_title": "TRIAL7"}, {"called_ae_title": "TRIAL8"})
    with pytest.raises(NoRoute, match="different routes"):
        choose_route(two, [Sender("TRIAL7", "CT1"), Sender("TRIAL8", "CT1")], ["CT"])


def test_a_route_has_its_own_patience() -> None:
    """A route's quiet and maximum times go over the node's."""
    config = NodeConfig(
        completion={"quiet_seconds": 60, "max_seconds": 3600},
        routes=(
            Route(name="fast", modality="CT", quiet_seconds=2, destinations=("d",)),
            Route(name="rest", destinations=("d",)),
        ),
    )
    assert policy_for(config, "DEIDNODE", "CT1", ["CT"]) == Policy(2, 3600)
    assert policy_for(config, "DEIDNODE", "CT1", ["MR"]) == Policy(60, 3600)
    assert shortest_wait(config) == 2
