"""One pseudonym, one patient: who comes second under it is held, whatever made it so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete

from node.deid import pseudonyms as engine
from node.inbox.tables import pseudonym
from node.process import worker
from node.process.pseudonyms import ANOTHERS
from node.profile.load import load_profile
from node.validate import pseudonyms as validator
from tests.factories import make_instance, patient_id
from tests.process.conftest import Door

LOOKUP = """
base = "basic"
[pseudonyms]
domain = "tests"
lookup = "lookup.csv"
"""
BASIC = 'base = "basic"\n[pseudonyms]\ndomain = "tests"\n'


@pytest.fixture
def short_codes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let all patients have one code, which chance does once in 2^65."""
    for functions in (engine, validator):
        functions.patient_code.cache_clear()
        monkeypatch.setattr(functions, "_code", lambda _key, _message: "A" * 13)
    yield
    for functions in (engine, validator):
        functions.patient_code.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder for profiles."""
    (tmp_path / "profiles").mkdir()
    return tmp_path / "profiles"


def node_of(folder: Path, profile: str) -> Door:
    """Make a node with a profile and the real engine and validator."""
    path = str(written(folder, profile))
    return Door(
        folder.parent / "node",
        routes=[{"name": "r", "profile": path, "destinations": ["delivered"]}],
    )


def written(folder: Path, profile: str) -> Path:
    """Write a profile."""
    path = folder / "tests.toml"
    path.write_text(profile)
    return path


def give(folder: Path, *rows: tuple[int, str]) -> None:
    """Write the lookup."""
    lines = [f"{patient_id(patient)},,{pseudonym}" for patient, pseudonym in rows]
    content = "\n".join(["patient_id,issuer,pseudonym", *lines])
    (folder / "lookup.csv").write_text(content + "\n")


def states(door: Door) -> dict[str, int]:
    """Count the studies by their state."""
    found = [study.state for study in door.studies()]
    return {state: found.count(state) for state in found}


def test_a_pseudonym_that_a_lookup_gave_to_another_before_holds(folder: Path) -> None:
    """The file is right by itself; that the first patient is out under it, only the node knows."""
    give(folder, (1, "TRIAL-1"))
    door = node_of(folder, LOOKUP)
    door.arrive(make_instance(patient=1))
    door.settle()
    assert states(door) == {"RELEASED": 1}
    give(folder, (2, "TRIAL-1"))
    door.arrive(make_instance(patient=2), association="b" * 10)
    door.settle()
    assert states(door) == {"RELEASED": 1, "HELD": 1}
    (held,) = [study for study in door.studies() if study.state == "HELD"]
    assert held.reason == ANOTHERS
    door.decide("release", held.study, override="I insist", why="I insist")
    door.settle()
    assert states(door) == {"RELEASED": 1, "HELD": 1}
    give(folder, (2, "TRIAL-2"))
    door.decide("requeue", held.study, why="it has a pseudonym of its own now")
    door.settle()
    assert states(door) == {"RELEASED": 2}
    door.close()


def test_what_went_out_before_the_node_kept_it_counts_for_given_ones(folder: Path) -> None:
    """An index of an earlier version has no owners, but releases."""
    give(folder, (1, "TRIAL-1"))
    door = node_of(folder, LOOKUP)
    door.arrive(make_instance(patient=1))
    door.settle()
    with door.place.transaction() as transaction:
        transaction.conn.execute(delete(pseudonym))
    give(folder, (2, "TRIAL-1"))
    door.arrive(make_instance(patient=2), association="b" * 10)
    door.settle()
    assert states(door) == {"RELEASED": 1, "HELD": 1}
    give(folder, (1, "TRIAL-1"))
    door.arrive(make_instance(patient=1, study=2), association="c" * 10)
    door.settle()
    assert states(door) == {"RELEASED": 2, "HELD": 1}
    door.close()


@pytest.mark.usefixtures("short_codes")
def test_two_patients_whose_codes_are_alike_do_not_become_one(folder: Path) -> None:
    """The first has it for good; more of the first follows, all of the second waits."""
    door = node_of(folder, BASIC)
    door.arrive(make_instance(patient=1))
    door.settle()
    door.arrive(make_instance(patient=2), association="b" * 10)
    door.arrive(make_instance(patient=1, study=2), association="c" * 10)
    door.settle()
    assert states(door) == {"RELEASED": 2, "HELD": 1}
    (held,) = [study for study in door.studies() if study.state == "HELD"]
    assert held.reason == ANOTHERS
    door.close()


def test_in_another_domain_a_pseudonym_is_free(folder: Path) -> None:
    """A domain is a world of its own, as of another trial."""
    give(folder, (1, "TRIAL-1"))
    door = node_of(folder, LOOKUP)
    door.arrive(make_instance(patient=1))
    door.settle()
    door.close()
    give(folder, (2, "TRIAL-1"))
    door = node_of(folder, LOOKUP.replace('"tests"', '"others"'))
    door.arrive(make_instance(patient=2), association="b" * 10)
    door.settle()
    assert states(door) == {"RELEASED": 2}
    door.close()


def test_two_files_of_one_name_and_rules_are_two_lookups(folder: Path) -> None:
    """A worker knows a profile again by all that it is, where its lookup lies included."""
    give(folder, (1, "TRIAL-1"))
    here = load_profile(str(written(folder, LOOKUP)))
    (folder / "other").mkdir()
    give(folder / "other", (1, "TRIAL-2"))
    there = load_profile(str(written(folder / "other", LOOKUP)))
    assert here.digest == there.digest
    assert worker.know(here).lookup == folder / "lookup.csv"
    assert worker.know(there).lookup == folder / "other" / "lookup.csv"
