"""A person's decision is a file first, whole or not at all, and tells what came of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.inbox.decisions import (
    Decision,
    DecisionKind,
    DecisionUnreadable,
    Keep,
    mark,
    read_decision,
    waiting_decisions,
    write_decision,
)
from node.inbox.layout import Inbox

DECISION = Decision(
    kind=DecisionKind.RELEASE,
    study="abcd1234",
    who="operator",
    when="2026-03-04T05:06:07.000001+00:00",
    why="seen",
    keep=Keep.LATEST,
    override=True,
)


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    """Make an inbox."""
    inbox = Inbox(tmp_path)
    inbox.create()
    return inbox


def test_what_is_written_is_read_back(inbox: Inbox) -> None:
    """Every field survives the file."""
    path = write_decision(inbox, DECISION)
    assert waiting_decisions(inbox) == [path]
    assert read_decision(path) == DECISION


def test_decisions_wait_in_the_order_of_their_time(inbox: Inbox) -> None:
    """The name begins with the time, whatever form it came in."""
    later = write_decision(inbox, DECISION)
    earlier = write_decision(
        inbox,
        Decision(kind=DecisionKind.REJECT, study="s", who="o", when="2026-03-04T05:06:06+00:00"),
    )
    assert waiting_decisions(inbox) == [earlier, later]


def test_a_marked_decision_waits_no_longer(inbox: Inbox) -> None:
    """The file's name tells what came of it."""
    path = write_decision(inbox, DECISION)
    mark(path, applied=False)
    assert waiting_decisions(inbox) == []
    assert [one.name for one in inbox.decisions.iterdir()] == [f"{path.stem}.refused.json"]


@pytest.mark.parametrize("content", ["", "{}", '{"kind": "explode", "study": "s"}', "[1]"])
def test_what_is_no_decision_is_refused(inbox: Inbox, content: str) -> None:
    """A broken file is told apart from every decision."""
    path = inbox.decisions / "20260304T050607Z-00000000.json"
    path.write_text(content)
    with pytest.raises(DecisionUnreadable):
        read_decision(path)
