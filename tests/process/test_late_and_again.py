"""Instances that come late, come again, or come again as something else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import update

from node.inbox import views
from node.inbox.dataset_digest import dataset_digest
from node.inbox.tables import instance
from node.outbox.manifest import read_manifest
from tests.factories import instance_uid, make_instance, patient_id
from tests.process import scripted
from tests.process.conftest import Door


def test_a_late_instance_goes_out_alone_in_the_next_generation(door: Door) -> None:
    """A generation carries only what is new."""
    door.arrive(make_instance(instance=1), make_instance(instance=2))
    door.settle()
    door.arrive(make_instance(instance=3), association="b000000000")
    door.settle()
    study = door.study()
    assert (study.state, study.generations, study.released) == ("RELEASED", 2, 3)
    folder = door.outbox.releases / f"{study.study}-g2"
    manifest = read_manifest(folder, door.place.signing_key.public_key())
    assert [one.sop_instance_uid for one in manifest.instances] == [
        scripted.new_uid(instance_uid(1, 1, 1, 3))
    ]
    assert "study_reopened" in door.events()


def test_the_same_bytes_again_make_nothing(door: Door) -> None:
    """A modality that sends a study again changes no state and makes no work."""
    datasets = [make_instance(instance=number) for number in range(1, 4)]
    door.arrive(*datasets)
    door.settle()
    jobs = len(door.pool.started)
    door.arrive(*datasets, association="b000000000")
    door.settle()
    assert (door.study().state, door.study().duplicate) == ("RELEASED", 3)
    assert (len(door.pool.started), len(door.releases())) == (jobs, 1)
    assert door.conservation()["duplicate"] == 3


def test_a_copy_is_known_by_a_digest_of_the_older_kind_when_the_original_is_gone(
    door: Door,
) -> None:
    """Rows of before BLAKE3 hold SHA-256; an update makes no conflicts of copies."""
    datasets = [make_instance(instance=number) for number in range(1, 3)]
    door.arrive(*datasets)
    door.settle()
    originals = list(door.inbox.studies.glob("*/*.dcm"))
    with door.place.index.begin() as conn:
        for path in originals:
            older = dataset_digest(path, like="")
            where = instance.c.id == path.stem
            conn.execute(update(instance).where(where).values(source_digest=older))
            path.unlink()
    other = make_instance(instance=2, modality="MR")
    door.arrive(datasets[0], other, association="b000000000")
    door.settle()
    assert len(originals) == 2
    assert sorted(door.states().values()) == [
        "DEIDENTIFIED", "DEIDENTIFIED", "DEIDENTIFIED", "DUPLICATE",
    ]  # fmt: skip
    assert door.study().state == "HELD"


def test_a_copy_within_one_association_is_a_duplicate(door: Door) -> None:
    """Two copies in one batch are seen as such before either has an outcome."""
    door.arrive(make_instance(), make_instance())
    door.settle()
    assert sorted(door.states().values()) == ["DEIDENTIFIED", "DUPLICATE"]
    assert door.study().released == 1


def test_an_instance_that_comes_while_its_study_is_at_work_opens_the_next_generation(
    door: Door,
) -> None:
    """What a generation holds is settled when it begins."""
    door.arrive(make_instance(instance=1))
    door.tick()
    door.pool.hold = True
    door.clock.time += 20
    door.tick()
    assert door.study().state == "PROCESSING"
    door.arrive(make_instance(instance=2), association="b000000000")
    door.tick()
    assert (door.study().done, door.study().total) == (0, 1)
    door.pool.hold = False
    door.settle()
    assert (door.study().generations, door.releases()) == (
        2,
        [f"{door.study().study}-g{number}" for number in (1, 2)],
    )


def test_other_bytes_under_a_known_uid_hold_the_study_until_a_person_chooses(door: Door) -> None:
    """Nothing is silently replaced: `keep latest` sends the later one."""
    door.arrive(make_instance(), make_instance(modality="MR"))
    door.settle()
    study = door.study()
    assert (study.state, "first or the latest" in study.reason) == ("HELD", True)
    door.decide("release", study.study, keep="latest")
    door.settle()
    first, latest = sorted(door.instances())
    assert door.states() == {first: "EXCLUDED", latest: "DEIDENTIFIED"}
    assert door.study().state == "RELEASED"


def test_keeping_the_first_leaves_the_later_one_out(door: Door) -> None:
    """`keep first` sends the earlier one."""
    door.arrive(make_instance(), make_instance(modality="MR"))
    door.settle()
    door.decide("release", door.study().study, keep="first")
    door.settle()
    first, latest = sorted(door.instances())
    assert door.states() == {first: "DEIDENTIFIED", latest: "EXCLUDED"}


def test_a_conflict_with_what_is_out_already_holds_the_new_generation(door: Door) -> None:
    """A changed instance after the release waits for a person; the release stands."""
    door.arrive(make_instance())
    door.settle()
    door.arrive(make_instance(modality="MR"), association="b000000000")
    door.settle()
    assert (door.study().state, door.study().released, len(door.releases())) == ("HELD", 1, 1)
    door.decide("release", door.study().study, keep="first")
    door.settle()
    assert (door.study().state, len(door.releases())) == ("RELEASED", 1)


def test_other_bytes_that_become_the_same_output_are_a_duplicate(door: Door) -> None:
    """What differs only in what is removed anyway is no conflict."""
    again = make_instance()
    again.PatientName = "Quillfeather1^Other"
    door.arrive(make_instance(), again)
    door.settle()
    assert sorted(door.states().values()) == ["DEIDENTIFIED", "DUPLICATE"]
    assert door.study().state == "RELEASED"


def test_a_rejected_study_never_comes_back(door: Door) -> None:
    """Whatever else of it arrives is rejected on arrival."""
    door.arrive(make_instance(instance=1))
    door.tick()
    door.decide("reject", door.study().study)
    door.tick()
    door.arrive(make_instance(instance=2), association="b000000000")
    door.settle()
    assert (door.study().state, set(door.states().values())) == ("REJECTED", {"REJECTED"})
    assert (door.releases(), door.conservation()["rejected"]) == ([], 2)


def test_a_sender_that_is_still_connected_keeps_its_last_study_open(
    door: Door, hold_association: Callable[[str], None]
) -> None:
    """An open association holds the study of its latest instance, and no other, open."""
    door.arrive(make_instance(study=1), make_instance(study=2))
    hold_association("a000000000")
    door.settle(seconds=100)
    assert {study.state for study in door.studies()} == {"RELEASED", "RECEIVING"}
    (waiting,) = [study for study in door.studies() if study.state == "RECEIVING"]
    assert door.instances()["a000000000-000002"].study == waiting.study
    door.settle(seconds=1000)
    assert {study.state for study in door.studies()} == {"RELEASED"}, "the maximum ends it"


def quarantined_while_another_waits(door: Door) -> str:
    """Release one, let a second end in quarantine, and a third arrive while it is at work."""
    door.arrive(make_instance(instance=1))
    door.settle()
    unreadable = make_instance(instance=2)
    unreadable.SeriesDescription = "quarantine"
    door.arrive(unreadable, association="b000000000")
    door.tick()
    door.pool.hold = True
    door.tick(2, seconds=20)
    assert door.study().state == "PROCESSING"
    (late,) = door.arrive(make_instance(instance=3), association="c000000000")
    door.tick()
    door.pool.hold = False
    return late


def test_a_generation_of_which_nothing_is_left_opens_the_next_for_what_waits(door: Door) -> None:
    """What came meanwhile is not stranded in a study that counts as released."""
    late = quarantined_while_another_waits(door)
    door.settle()
    door.settle()
    assert door.instances()[late].released
    study = door.study()
    assert (study.state, study.waiting, len(door.releases())) == ("RELEASED", 0, 2)


def test_an_override_does_not_outlive_a_generation_of_which_nothing_is_left(door: Door) -> None:
    """A later finding needs a person of its own."""
    door.arrive(make_instance(instance=1))
    door.settle()
    again = make_instance(instance=1, modality="MR")
    again.SeriesDescription = "leak"
    door.arrive(again, association="b000000000")
    door.settle()
    door.decide("release", door.study().study, keep="first", override=True, why="seen")
    door.settle()
    assert door.study().state == "RELEASED"
    leak = make_instance(instance=2)
    leak.SeriesDescription = "leak"
    door.arrive(leak, association="c000000000")
    door.settle()
    assert (door.study().state, len(door.releases())) == ("HELD", 1)


def test_a_later_generation_of_which_nothing_is_left_ends_where_patients_are_looked_up(
    make_door: Callable[..., Door], tmp_path: Path
) -> None:
    """There is nobody left to look up: that is no other recipe by which to make it anew."""
    (tmp_path / "lookup.csv").write_text(f"patient_id,issuer,pseudonym\n{patient_id(1)},,SUBJ-1\n")
    profile = tmp_path / "site.toml"
    profile.write_text('base = "basic"\n[pseudonyms]\ndomain = "t"\nlookup = "lookup.csv"\n')
    route = {"name": "r", "destinations": ["delivered"], "profile": str(profile)}
    door = make_door(routes=[route])
    door.arrive(make_instance(instance=1))
    door.settle(seconds=100)
    bad = make_instance(instance=2)
    bad.SeriesDescription = "quarantine"
    door.arrive(bad)
    door.settle(seconds=100)
    before = len(door.events())
    door.tick(10)
    assert (door.study().state, len(door.events())) == ("RELEASED", before)


def test_a_route_is_chosen_once_and_holds_for_what_comes_late(
    make_door: Callable[..., Door],
) -> None:
    """An instance that alone would take another route follows its study."""
    routes = [
        {"name": "ct", "modality": "CT", "destinations": ["a"]},
        {"name": "mr", "modality": "MR", "destinations": ["b"]},
    ]
    door = make_door(
        routes=routes,
        destinations=[{"name": name, "type": "folder", "path": f"/{name}"} for name in "ab"],
    )
    door.arrive(make_instance())
    door.settle()
    assert (door.study().route, door.study().generations) == ("ct", 1)
    door.arrive(make_instance(instance=2, series=2, modality="MR"), association="b000000000")
    door.settle()
    with door.place.index.connect() as conn:
        chosen = [one.route for one in views.generations(conn, door.study().study)]
    assert (door.study().route, chosen) == ("ct", ["ct", "ct"])
    assert door.study().released == 2
