"""What the fork server does before the first job."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.process import worker
from node.process.messages import Deidentify, Done, Ready
from node.process.warming import COMMON, tell_profiles, treat_made_up, warm_up
from node.profile import load_profile
from node.profile.load import find_profile, profile_names
from node.validate import Severity


@pytest.mark.parametrize("name", profile_names())
def test_a_made_up_instance_of_each_common_class_goes_the_whole_way(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails early has decided little: each is de-identified and found sound."""
    done: list[Done] = []
    treat = worker.treat

    def watch(message: Deidentify) -> Done:
        done.append(treat(message))
        return done[-1]

    monkeypatch.setattr(worker, "treat", watch)
    treat_made_up(load_profile(name), tmp_path)
    (only,) = done
    assert len(only.outcomes) == len(COMMON)
    for outcome in only.outcomes:
        assert isinstance(outcome, Ready), outcome
        severities = {finding.severity for finding in outcome.verdict.findings}
        assert severities <= {Severity.HOLD, Severity.NOTE}, "an ultrasound may show a name"


def test_a_job_takes_up_what_was_decided_under_its_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's profile comes by pickle and knows nothing; the server's of that digest does."""
    monkeypatch.setattr(worker, "_known", {})
    monkeypatch.setenv("DEID_NODE_PRELOAD_PROFILES", "")
    tell_profiles([find_profile("basic")])
    warm_up()
    fresh = load_profile("basic")
    known = worker.know(fresh)
    assert known is not fresh
    assert known.digest == fresh.digest
    assert worker.know(load_profile("research")) is not known
