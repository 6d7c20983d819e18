"""Which jobs share a worker, and what is true of each job whoever it shares one with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.inbox import views
from node.process import jobs
from node.process.chunks import LEAST_INSTANCES
from node.process.messages import Deidentify, Done
from node.process.runs import RUN_BYTES, WORTH_A_PROCESS, Candidate, next_run
from node.process.worker import treat_all
from tests.process import scripted
from tests.process.conftest import Door, small_studies
from tests.process.test_deaths import described

MOST = 64
CANDIDATES = st.lists(
    st.tuples(
        st.integers(1, MOST), st.integers(1, RUN_BYTES), st.integers(0, RUN_BYTES), st.booleans()
    ),
    max_size=60,
).map(
    lambda jobs: [
        Candidate(number, count, size + largest, largest, fresh)
        for number, (count, largest, size, fresh) in enumerate(jobs)
    ]
)
SLOTS = st.integers(1, 8).flatmap(lambda slots: st.tuples(st.just(slots), st.integers(1, slots)))
ROOM = st.integers(1, 2 * RUN_BYTES) | st.just(math.inf)


@given(CANDIDATES, SLOTS, ROOM)
def test_a_run_keeps_its_bounds_and_takes_the_next_in_turn(
    waiting: list[Candidate[int]], slots: tuple[int, int], room: float
) -> None:
    """The first job always goes; others only if they are small, fresh, and fit in with it."""
    run = next_run(waiting, *slots, MOST, room)
    members = [waiting[number] for number in run]
    assert run[:1] == ([0] if waiting and waiting[0].largest <= room else [])
    assert run == sorted(set(run)), "in the order of their turn, each once"
    assert all(one.largest <= room for one in members)
    if len(run) > 1:
        assert all(one.fresh and one.instances < WORTH_A_PROCESS for one in members)
        assert sum(one.instances for one in members) <= MOST
        assert sum(one.bytes for one in members) <= RUN_BYTES


@given(CANDIDATES, st.integers(1, 8))
def test_every_waiting_job_runs_exactly_once(waiting: list[Candidate[int]], slots: int) -> None:
    """However they are put together, none is left over and none is given out twice."""
    ran: Counter[int] = Counter()
    left = waiting
    while left:
        run = next_run(left, slots, slots, MOST, math.inf)
        assert run, "one at least"
        ran.update(run)
        left = [one for one in left if one.what not in run]
    assert ran == Counter(one.what for one in waiting)


@given(st.integers(1, 200), st.integers(1, 15), st.integers(2, 8))
def test_no_worker_is_idle_while_another_has_two_jobs_worth_one(
    studies: int, size: int, slots: int
) -> None:
    """Few small studies spread over the idle workers, as far as a process is worth it."""
    left = [Candidate(number, size, size, 1) for number in range(studies)]
    runs = []
    for free in range(slots, 0, -1):
        if left:
            runs.append(next_run(left, slots, free, MOST, math.inf))
            left = [one for one in left if one.what not in runs[-1]]
    if len(runs) < slots:
        assert all(size * (len(run) - 1) < LEAST_INSTANCES for run in runs)
    loads = [size * len(run) for run in runs]
    if not left:
        assert max(loads) - min(loads) <= max(size, LEAST_INSTANCES) * slots


def test_small_studies_share_workers(door: Door) -> None:
    """Thirty studies of five images take a few processes, and each image is treated once."""
    names = small_studies(door, 30)
    door.settle()
    assert {one.state for one in door.studies()} == {"RELEASED"}
    treated = Counter(file.instance for job in door.pool.started for file in job.files)
    assert treated == Counter(name for each in names.values() for name in each)
    assert len(door.pool.runs) <= 6
    assert {row.attempts for row in door.instances().values()} == {1}


def test_workers_that_are_shared_are_shown_as_what_they_are(door: Door) -> None:
    """One worker is at one job; what shares it waits for its turn."""
    door.pool.slots = 1
    small_studies(door, 3)
    door.tick()
    door.clock.time += 20
    door.pool.hold = True
    door.tick(2)
    with door.place.index.connect() as conn:
        assert views.workers(conn) == {"totalWorkers": 1, "activeJobs": 1, "queuedJobs": 2}
    door.pool.hold = False
    door.settle()
    with door.place.index.connect() as conn:
        assert set(views.workers(conn).values()) == {0}


@pytest.mark.parametrize("death", [SystemExit(9), MemoryError(), TimeoutError()])
@pytest.mark.parametrize("max_attempts", [1, 3])
def test_what_kills_a_shared_worker_is_found_and_nobody_else_is_blamed(
    make_door: Callable[..., Door],
    monkeypatch: pytest.MonkeyPatch,
    death: BaseException,
    max_attempts: int,
) -> None:
    """Killed, out of memory or hanging: a death counts for all, and each goes on by itself."""
    door = make_door(process={"max_attempts": max_attempts})
    names = small_studies(door, 8)
    poison = names[4][2]
    monkeypatch.setattr(jobs, "treat_all", scripted.deaths({poison}, death))
    door.settle()
    states = door.states()
    assert states.pop(poison) == "QUARANTINED"
    assert set(states.values()) == {"DEIDENTIFIED"}
    assert {one.state for one in door.studies()} == {"RELEASED"}
    others = {name for number, each in names.items() if number != 4 for name in each}
    rows = door.instances()
    assert max(rows[name].attempts for name in others) == 2, "with the poison once, then without"
    assert rows[poison].attempts <= max_attempts + 4
    alone = [run for run in door.pool.runs if len(run) == 1 and len(run[0].files) == 1]
    assert poison in {run[0].files[0].instance for run in alone}, "it was alone at last"


def test_a_job_that_cannot_begin_takes_no_other_of_its_worker_along(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder for its files is gone when its turn comes."""
    names = small_studies(door, 4)
    gone = names[2][0]

    def treat(messages: tuple[Deidentify, ...]) -> tuple[Done, ...]:
        for message in messages:
            if len(messages) > 1 and message.files[0].instance == gone:
                message.files[0].target.parent.rmdir()
        return treat_all(messages)

    monkeypatch.setattr(jobs, "treat_all", treat)
    door.settle()
    assert set(door.states().values()) == {"DEIDENTIFIED"}
    attempts = {name: row.attempts for name, row in door.instances().items()}
    assert attempts == {name: 1 + (name in names[2]) for each in names.values() for name in each}


def test_what_hangs_holds_no_study_beside_it_for_long(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs that share a worker have less time than one that is alone with its images."""
    names = small_studies(door, 8)
    monkeypatch.setattr(jobs, "treat_all", scripted.deaths({names[4][2]}, TimeoutError()))
    door.settle()
    alone = door.config.process.job_timeout_seconds
    expected = [jobs.SHARED_SECONDS if len(run) > 1 else alone for run in door.pool.runs]
    assert door.pool.timeouts == expected
    assert {jobs.SHARED_SECONDS, alone} == set(expected)


def test_a_worker_that_is_shared_by_many_has_time_for_all_of_them(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fixed time would be too short for many slow images: each would then be done twice."""
    monkeypatch.setattr(jobs, "SHARED_SECONDS", 7.0)
    monkeypatch.setattr(jobs, "SHARED_SECONDS_EACH", 0.5)
    small_studies(door, 12)
    alone = door.config.process.job_timeout_seconds
    door.settle()
    sizes = [sum(len(job.files) for job in run) for run in door.pool.runs]
    assert max(sizes) > 14
    assert door.pool.timeouts == [
        max(7.0, size / 2) if len(run) > 1 else alone
        for size, run in zip(sizes, door.pool.runs, strict=True)
    ]


def test_one_instance_of_a_shared_worker_that_died_is_not_given_up_for_that(
    make_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one attempt allowed, an image that died beside a deadly one gets one by itself."""
    door = make_door(process={"max_attempts": 1})
    names = small_studies(door, 6, images=1)
    monkeypatch.setattr(jobs, "treat_all", scripted.deaths(set(names[3])))
    door.settle()
    states = door.states()
    assert states.pop(names[3][0]) == "QUARANTINED"
    assert set(states.values()) == {"DEIDENTIFIED"}


def test_a_run_that_ended_with_the_role_is_done_again_one_by_one(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their attempts were on disk before the worker started; who is to blame is not known."""

    class Collapse(BaseException):
        pass

    def collapse(_messages: object) -> None:
        raise Collapse

    small_studies(door, 6)
    monkeypatch.setattr(jobs, "treat_all", collapse)
    with pytest.raises(Collapse):
        door.settle()
    monkeypatch.setattr(jobs, "treat_all", treat_all)
    door.restart()
    counted = {row.attempts for row in door.instances().values()}
    assert counted == {0, 1}
    before = len(door.pool.runs)
    again = {name for name, row in door.instances().items() if row.attempts}
    door.settle()
    assert {one.state for one in door.studies()} == {"RELEASED"}
    for run in door.pool.runs[before:]:
        assert len(run) == 1 or not again & {file.instance for job in run for file in job.files}


def test_a_full_disk_in_a_shared_worker_is_nobodys_fault(door: Door) -> None:
    """The attempts of what met it are taken back; the others of its worker are done."""
    small_studies(door, 3)
    full = described("full disk", patient=9, study=9, instance=901)
    (name,) = door.arrive(full, association="c000000000")
    door.settle()
    assert door.states()[name] == "RECEIVED"
    assert door.instances()[name].attempts == 0
    assert Counter(one.state for one in door.studies()) == {"RELEASED": 3, "PROCESSING": 1}
