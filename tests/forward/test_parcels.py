"""What a child tells comes in parcels: few enough to be cheap, soon enough to lose little."""

from __future__ import annotations

import threading
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from node.forward.batch import Answer, Batch, Reaction
from node.forward.child import Inbound, Parcel, Parcels, Stop


def _told(pipe: Connection) -> list[Parcel]:
    parcels = []
    while pipe.poll():
        parcels.append(pipe.recv())
    return parcels


def test_a_parcel_holds_at_most_fifty_answers() -> None:
    """So that a crash leaves at most so many in doubt; and none is lost."""
    ours, theirs = Pipe()
    parcels = Parcels(theirs, _sealed_at=time.monotonic() + 60)
    for number in range(120):
        parcels.answered(Answer(number, Reaction.STORED))
    assert [len(parcel.answers) for parcel in _told(ours)] == [50, 50]
    parcels.flush()
    (rest,) = _told(ours)
    assert [answer.number for answer in rest.answers] == list(range(100, 120))


def test_an_answer_does_not_wait_for_others_after_a_moment() -> None:
    """The last parcel went a while ago: this answer goes at once."""
    ours, theirs = Pipe()
    Parcels(theirs, _sealed_at=time.monotonic() - 1).answered(Answer(0, Reaction.STORED))
    assert [len(parcel.answers) for parcel in _told(ours)] == [1]


def test_work_that_came_before_it_was_waited_for_is_work_all_the_same() -> None:
    """Else parcels would not go in time, and the end of the parent would go unseen."""
    ours, theirs = Pipe()
    inbound = Inbound(theirs, Parcels(theirs))
    batch = Batch(None, (), 60.0)  # type: ignore[arg-type]  # nobody is asked
    inbound._take(batch)
    assert inbound.next_work() == batch
    thread = threading.Thread(target=inbound.attend, daemon=True)
    thread.start()
    try:
        ours.send(Stop())
        assert inbound.stopped.wait(120)
        inbound.parcels.sent(1)
        assert ours.poll(120), "told without a further word of the parent"
    finally:
        inbound.working = False  # a child that has work ends its process with its parent: ours
        ours.close()
        thread.join(120)
