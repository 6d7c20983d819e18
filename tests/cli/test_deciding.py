"""A person's decisions: a file each, with who, when and why; refused where they cannot be."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest

from node.disk import lock_file
from node.inbox.decisions import DecisionKind, read_decision, waiting_decisions
from node.inbox.layout import Inbox
from node.outbox import decisions as outbox_decisions
from node.outbox.layout import Outbox
from node.outbox.ledger import open_ledger, take_decision
from tests.cli.conftest import Node
from tests.web.filled import study_id

MakeNode = Callable[[int], Node]


@pytest.mark.parametrize(
    ("verb", "kind", "facts"),
    [
        (("held", "release", "--override", "--reason", "seen by me"), DecisionKind.RELEASE,
         {"override": True, "why": "seen by me"}),
        (("held", "release", "--keep", "latest"), DecisionKind.RELEASE, {"keep": "latest"}),
        (("held", "exclude", "--series", "2"), DecisionKind.EXCLUDE, {"series": 2}),
        (("held", "exclude", "--instance", "a-1"), DecisionKind.EXCLUDE, {"instance": "a-1"}),
        (("held", "reject", "--reason", "consent withdrawn"), DecisionKind.REJECT,
         {"why": "consent withdrawn"}),
        (("held", "requeue", "--all-generations"), DecisionKind.REQUEUE,
         {"all_generations": True}),
        (("complete",), DecisionKind.COMPLETE, {}),
    ],
)  # fmt: skip
def test_a_decision_is_a_file_with_who_when_and_why(
    node: MakeNode,
    monkeypatch: pytest.MonkeyPatch,
    verb: tuple[str, ...],
    kind: DecisionKind,
    facts: dict[str, object],
) -> None:
    """It waits for `process`, which is not running here; the person is told so."""
    monkeypatch.setenv("SUDO_USER", "ada")
    made = node(1)
    done = made.cli(*verb, study_id(0))
    assert done.exit_code == 0, done.output
    assert "is recorded; `process` is not running" in done.output
    (path,) = waiting_decisions(Inbox(made.config.inbox_dir))
    decision = read_decision(path)
    assert (decision.kind, decision.study, decision.who) == (kind, study_id(0), "ada")
    assert decision.when.startswith("20")
    assert {name: getattr(decision, name) for name in facts} == facts


@pytest.mark.parametrize(
    "verb",
    [
        ("held", "release", "--override"),
        ("held", "exclude"),
        ("held", "exclude", "--series", "1", "--instance", "a-1"),
        ("held", "release", "--keep", "both"),
    ],
)
def test_a_decision_that_says_too_little_is_a_usage_error(
    node: MakeNode, verb: tuple[str, ...]
) -> None:
    """Exit 2 and no file."""
    made = node(1)
    assert made.cli(*verb, study_id(0)).exit_code == 2
    assert waiting_decisions(Inbox(made.config.inbox_dir)) == []


@pytest.mark.parametrize(
    ("verb", "kind", "destination"),
    [
        (("delivery", "retry", study_id(1)), "retry", ""),
        (("delivery", "abandon", study_id(1), "--to", "research"), "abandon", "research"),
        (("redeliver", study_id(1)), "redeliver", ""),
        (("withdraw", study_id(1), "--reason", "consent"), "withdraw", ""),
        (("destination", "pause", "research"), "pause", "research"),
        (("destination", "resume", "research"), "resume", "research"),
    ],
)
def test_a_decision_about_deliveries_waits_for_forward(
    node: MakeNode, verb: tuple[str, ...], kind: str, destination: str
) -> None:
    """In the released zone, where forward can read it."""
    made = node(2)
    done = made.cli(*verb)
    assert done.exit_code == 0, done.output
    (path,) = outbox_decisions.waiting(Outbox(made.config.outbox_dir).decisions)
    decision = outbox_decisions.read_decision(path)
    assert (decision.kind, decision.destination) == (kind, destination)


def test_why_forward_refused_a_decision_is_told(node: MakeNode) -> None:
    """The person who decided reads the reason where they decided."""
    made = node(2)
    outbox = Outbox(made.config.outbox_dir)

    def forward() -> None:
        while not (waiting := outbox_decisions.waiting(outbox.decisions)):
            time.sleep(0.01)
        (path,) = waiting
        engine = open_ledger(outbox.database)
        with engine.begin() as connection:
            decision = outbox_decisions.read_decision(path)
            take_decision(connection, path.name, decision, 1.0, "it may have been purged")
        engine.dispose()
        outbox_decisions.file_away(path, refused=True)

    held = lock_file(outbox.locks / "forward.lock")
    thread = threading.Thread(target=forward)
    thread.start()
    try:
        done = made.cli("redeliver", study_id(1))
    finally:
        thread.join()
        os.close(held)
    assert done.exit_code == 1
    assert "was refused: it may have been purged" in done.output


def test_withdrawing_lists_what_went_out(node: MakeNode) -> None:
    """What a destination has, a person must have deleted there."""
    text = node(2).cli("withdraw", study_id(1)).output
    assert f"{study_id(1)}-g1" in text
    assert "research" in text


@pytest.mark.parametrize(
    "verb",
    [
        ("destination", "pause", "nowhere"),
        ("redeliver", study_id(1), "--to", "nowhere"),
        ("redeliver", study_id(0)),
        ("withdraw", study_id(0)),
        ("delivery", "retry", "nosuchid"),
    ],
)
def test_a_decision_about_nothing_is_refused_at_once(node: MakeNode, verb: tuple[str, ...]) -> None:
    """Exit 1, a line, no file."""
    made = node(2)
    done = made.cli(*verb)
    assert done.exit_code == 1
    assert done.stderr
    assert outbox_decisions.waiting(Outbox(made.config.outbox_dir).decisions) == []
