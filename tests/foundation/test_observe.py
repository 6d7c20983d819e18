"""What is logged is one of the known facts and quotes no value."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest
import structlog

from node import observe


@pytest.fixture(autouse=True)
def _restored() -> object:
    """Give the next test structlog as it was."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    import logging  # noqa: PLC0415 -- only to undo what set_up_logging did

    logging.disable(logging.NOTSET)


def test_an_event_is_one_line_of_json_with_its_role(capfd: pytest.CaptureFixture[str]) -> None:
    """What journald keeps can be read by a machine."""
    observe.set_up_logging("json", "info", "receive")
    structlog.get_logger().info("instance_received", instance="abc-000001", bytes=12)
    event = json.loads(capfd.readouterr().err)
    assert event["event"] == "instance_received"
    assert event["role"] == "receive"
    assert event["instance"] == "abc-000001"


def test_a_log_that_cannot_be_written_stops_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk under the log takes lines and nothing else."""
    full = Path("/dev/full").open("w")  # noqa: SIM115 -- what it holds back cannot be closed in good order
    monkeypatch.setattr("sys.stderr", full)
    observe.set_up_logging("json", "info", "receive")
    for _ in range(1000):
        structlog.get_logger().info("instance_received", instance="abc-000001", bytes=12)
    with contextlib.suppress(OSError):
        full.close()


def test_an_event_outside_the_list_is_a_mistake() -> None:
    """The list of events is the documentation that operators' alarms stand on."""
    observe.set_up_logging("json", "info", "receive")
    with pytest.raises(observe.UnknownEvent):
        structlog.get_logger().info("something happened")


def test_every_event_logged_in_the_source_is_in_the_list_and_the_other_way_round() -> None:
    """No event is found out only at night, and nobody waits for one that never comes."""
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for path in Path(observe.__file__).parent.rglob("*.py")
        if path.parts[-2:] not in (("node", "observe.py"), ("audit", "roles.py"))
    )
    call = r"\blog(?:ger)?\.(?:debug|info|warning|error|critical)\(\s*\"([^\"]+)\""
    assert set(re.findall(call, source)) <= observe.EVENTS
    assert {event for event in observe.EVENTS if f'"{event}"' not in source} == set()


def test_an_exception_is_told_without_its_text() -> None:
    """The text of an exception may quote the value that a library stumbled on."""
    try:
        int("Quillfeather^Zebedee")
    except ValueError as error:
        facts = observe.exception_facts(error)
    assert facts["exception"] == "ValueError"
    assert "Quillfeather" not in json.dumps(facts)
    assert facts["stack"][0].startswith("test_observe.py:")


def test_the_console_prints_an_exceptions_facts(capsys: pytest.CaptureFixture[str]) -> None:
    """The format of a terminal has its own idea of a stack, and must not fall over ours."""
    observe.set_up_logging("console", "info", "receive")
    try:
        int("Quillfeather^Zebedee")
    except ValueError as error:
        structlog.get_logger().error("role_failed", **observe.exception_facts(error))
    printed = capsys.readouterr().err
    assert "ValueError" in printed
    assert "test_observe.py:" in printed
    assert "Quillfeather" not in printed


def test_every_event_is_explained_to_operators() -> None:
    """docs/operations.md names each event, and none that does not exist."""
    page = Path(__file__).parents[2] / "docs" / "operations.md"
    table = page.read_text(encoding="utf-8").split("## Log events")[1]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    documented = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    assert documented == observe.EVENTS
