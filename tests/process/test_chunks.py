"""How instances are cut into jobs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.process.chunks import CHUNK_BYTES, Waiting, chunk_size, cut

WAITING = st.lists(
    st.builds(
        Waiting,
        instance=st.uuids().map(str),
        bytes=st.integers(1, 2 * CHUNK_BYTES),
        attempts=st.integers(0, 12),
    ),
    max_size=60,
    unique_by=lambda one: one.instance,
)


@given(WAITING, st.integers(1, 32), st.integers(1, 5), st.integers(1, 8))
def test_every_instance_is_in_one_chunk_within_all_bounds(
    waiting: list[Waiting], size: int, attempts: int, slots: int
) -> None:
    """Nothing is lost or doubled; a chunk is bounded in instances and bytes, but for one file."""
    chunks = cut(waiting, size, attempts, slots)
    names = [name for chunk in chunks for name in chunk.instances]
    assert sorted(names) == sorted(one.instance for one in waiting)
    by_name = {one.instance: one for one in waiting}
    for chunk in chunks:
        members = [by_name[name] for name in chunk.instances]
        assert len(members) <= size
        assert len(members) == 1 or chunk.bytes <= CHUNK_BYTES
        assert len({one.attempts for one in members}) == 1
        assert chunk.largest == max(one.bytes for one in members)


@given(st.integers(1, 1024), st.integers(1, 20))
def test_a_deadly_instance_is_alone_after_a_bounded_number_of_attempts(
    size: int, attempts: int
) -> None:
    """Tried `max_attempts` times as it is, a chunk is halved at each further attempt."""
    assert chunk_size(attempts - 1, size, attempts) == size
    assert chunk_size(attempts + size.bit_length(), size, attempts) == 1


def test_a_large_study_spreads_over_the_workers() -> None:
    """40 images for 8 workers are not three chunks of 16."""
    waiting = [Waiting(f"{number:03d}", 1000, 0) for number in range(40)]
    assert [len(chunk.instances) for chunk in cut(waiting, 16, 3, 8)] == [5] * 8
    assert [len(chunk.instances) for chunk in cut(waiting, 16, 3, 2)] == [16, 16, 8]
