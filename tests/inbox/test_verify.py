"""What `verify` finds when index and files disagree, and what `--repair` makes of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from node.inbox import decisions
from node.inbox.dataset_digest import dataset_digest
from node.inbox.tables import instance
from node.inbox.verify import Problem, verify_inbox
from node.process.repairing import repair
from tests.factories import make_instance
from tests.process.conftest import Door


def problems(door: Door) -> list[Problem]:
    """Verify a node's inbox."""
    with door.place.index.connect() as conn:
        return list(verify_inbox(door.inbox, conn))


@pytest.fixture
def released(door: Door) -> Door:
    """Make a node with one released study of three instances."""
    door.arrive(*(make_instance(instance=number) for number in range(3)))
    door.settle()
    assert door.study().state == "RELEASED"
    return door


def original(door: Door) -> Path:
    """Give one original."""
    return min(door.inbox.studies.glob("*/*.dcm"))


def rewrite(door: Door) -> None:
    """Change one bit of an original."""
    path = door.inbox.studies / door.study().study / "a000000000-000001.dcm"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def miscount(door: Door) -> None:
    """Let a study's count be wrong."""
    with door.place.index.begin() as conn:
        conn.exec_driver_sql("UPDATE study SET duplicate = 1, released = released - 1")


def mistotal(door: Door) -> None:
    """Let a total be wrong."""
    with door.place.index.begin() as conn:
        conn.exec_driver_sql("UPDATE total SET waiting = 5")


def add_file(door: Door) -> None:
    """Add an original that nobody adopted."""
    path = door.inbox.studies / door.study().study / "a000000000-000001.dcm"
    (path.parent / "z000000000-000001.dcm").write_bytes(path.read_bytes())


def forge_decision(door: Door) -> None:
    """Mark as applied what never was."""
    (door.inbox.decisions / "20260304T050607Z-00000000.applied.json").write_text("{}")


@pytest.mark.parametrize(
    ("damage", "explanation"),
    [
        (lambda door: original(door).unlink(), "the original is missing"),
        (lambda door: os.truncate(original(door), 200), "not of the size"),
        (rewrite, "its digest differs"),
        (miscount, "not those of its rows"),
        (mistotal, "not the sum"),
        (add_file, "has no row"),
        (forge_decision, "has no row"),
    ],
)
def test_each_disagreement_is_found_by_name(
    released: Door, damage: Callable[[Door], None], explanation: str
) -> None:
    """Nothing is wrong with a sound node; each damage is told, by our own ids."""
    assert problems(released) == []
    damage(released)
    assert any(explanation in problem.explanation for problem in problems(released))


def test_digests_of_the_older_kind_are_still_held_against_the_files(released: Door) -> None:
    """An original that was changed is seen, whichever way its digest was made."""
    with released.place.index.begin() as conn:
        for path in released.inbox.studies.glob("*/*.dcm"):
            older = dataset_digest(path, like="")
            where = instance.c.id == path.stem
            conn.execute(update(instance).where(where).values(source_digest=older))
    assert problems(released) == []
    rewrite(released)
    assert ["its digest differs" in one.explanation for one in problems(released)] == [True]


def test_a_lost_index_is_rebuilt_from_files_and_held(released: Door) -> None:
    """Every original has its row again; what became of it is for a person to say."""
    study_id = released.study().study
    released.close()
    for path in released.inbox.database.parent.iterdir():
        path.unlink()
    lines = repair(released.config)
    assert lines == [
        f"{study_id}: 3 originals with a row again; the study is held",
        f"{study_id}-g1: is known as released again",
    ]
    released.restart()
    study = released.study()
    assert (study.study, study.state, study.waiting) == (study_id, "HELD", 3)
    assert problems(released) == []
    released.tick(3)
    assert released.releases() == [f"{study_id}-g1"]
    released.decide("requeue", study_id)
    released.settle()
    assert (released.study().state, released.releases()) == (
        "RELEASED",
        [f"{study_id}-g1", f"{study_id}-g2"],
    )


def test_repair_mends_counts_and_changes_nothing_that_is_sound(released: Door) -> None:
    """A second repair finds nothing to do."""
    miscount(released)
    mistotal(released)
    released.close()
    assert repair(released.config) != []
    assert repair(released.config) == []
    released.open()
    assert problems(released) == []
    assert released.conservation()["released"] == 3


def test_a_file_that_was_rejected_is_not_brought_back_by_repair(door: Door) -> None:
    """A rejected study never comes back, not even by way of a repair."""
    door.arrive(make_instance())
    door.tick()
    path = next(door.inbox.studies.glob("*/*.dcm"))
    content = path.read_bytes()
    door.decide("reject", door.study().study)
    door.tick()
    (path.parent / "z000000000-000001.dcm").parent.mkdir(exist_ok=True)
    (path.parent / "z000000000-000001.dcm").write_bytes(content)
    door.close()
    repair(door.config)
    door.open()
    door.settle()
    assert (door.study().state, door.releases()) == ("REJECTED", [])


def test_a_decision_that_is_applied_and_not_marked_yet_is_no_problem(released: Door) -> None:
    """A crash between row and mark is gone over by the next tick, not by a person."""
    released.decide("release", released.study().study)
    released.tick()
    (path,) = released.inbox.decisions.glob("*.refused.json")
    path.rename(path.with_name(path.name.replace(".refused", "")))
    assert problems(released) == []
    released.tick()
    assert decisions.waiting_decisions(released.inbox) == []
