"""An honest engine passes; that nothing else does is what the mutation proof shows."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from node.profile.recipe import Recipe
from node.validate import Severity, validate
from tests.factories import make_instance, patient_id
from tests.validate.conftest import Prove, severities


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("profile", ["basic", "research"])
def test_an_honest_output_has_no_finding(
    prove: Prove, profile: str, modality: str, request: pytest.FixtureRequest
) -> None:
    """No false alarm on a usual image."""
    recipe: Recipe = request.getfixturevalue(profile)
    assert prove(recipe, make_instance(modality=modality)).findings == ()


def test_the_verdict_names_the_bytes_that_it_proved(prove: Prove, basic: Recipe) -> None:
    """Digest and length are the file's; facts are the output's, never the original's."""
    seen: list[bytes] = []
    verdict = prove(basic, spoil=lambda path: seen.append(path.read_bytes()))
    assert verdict.sha256 == hashlib.sha256(seen[0]).hexdigest()
    assert verdict.bytes == len(seen[0])
    assert verdict.facts.patient_id.startswith("P")
    assert patient_id(1) not in repr(verdict)


def test_a_screen_capture_is_excluded_where_the_profile_says_so(
    prove: Prove, basic: Recipe, research: Recipe
) -> None:
    """The same picture: `basic` holds it for a person, `research` leaves it out."""
    capture = make_instance(modality="OT")
    assert severities(prove(basic, capture)) == {Severity.HOLD}
    assert severities(prove(research, capture)) == {Severity.EXCLUDE}


def test_an_unreadable_output_is_a_finding(prove: Prove, basic: Recipe) -> None:
    """A file cut short is no exception and no pass."""
    verdict = prove(basic, spoil=lambda path: path.write_bytes(path.read_bytes()[:-7]))
    assert severities(verdict) == {Severity.INVALID}


def test_an_empty_output_is_a_finding(tmp_path: Path, basic: Recipe) -> None:
    """Nothing is not a de-identified instance."""
    nothing = tmp_path / "nothing.dcm"
    nothing.touch()
    assert validate(nothing, nothing, basic).holds
