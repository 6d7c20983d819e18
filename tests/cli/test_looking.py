"""Status, lists and single studies, while no role lives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from starlette.testclient import TestClient

from node.cli import deid_node
from node.disk import lock_file
from node.inbox.index import open_index
from node.inbox.layout import Inbox
from node.web.app import make_app
from tests.cli.conftest import Node
from tests.web.filled import node_folder, refuse_release, study_id

MakeNode = Callable[[int], Node]


def test_status_has_the_shape_that_programs_rely_on(node: MakeNode) -> None:
    """The keys that scripts rely on, with the numbers of the rows."""
    told = node(4).json("status")
    assert told["roles"] == dict.fromkeys(("receive", "process", "forward", "web"), False)
    assert told["workers"] == {"totalWorkers": 0, "activeJobs": 0, "queuedJobs": 1}
    assert told["conservation"] == {
        "received": 16, "released": 4, "held": 4, "quarantined": 0, "duplicate": 0, "excluded": 0,
        "rejected": 0, "pending": 8,
    }  # fmt: skip
    assert [(s["study"], s["state"]) for s in told["studies"]] == [
        (study_id(3), "RECEIVING"), (study_id(2), "PROCESSING"), (study_id(1), "RELEASED"),
        (study_id(0), "HELD"),
    ]  # fmt: skip
    assert [(s["done"], s["total"]) for s in told["studies"]] == [(0, 4), (2, 4), (4, 4), (4, 4)]
    (destination,) = told["destinations"]
    assert destination["name"] == "research"
    assert destination["delivered"] == 4
    assert {"pending", "deferred_until", "committed", "refused", "last_answer"} < set(destination)


def test_status_of_a_node_that_never_ran_is_all_zeros(tmp_path: Path) -> None:
    """No folder is needed, and none is made."""
    node_folder(tmp_path)
    done = CliRunner().invoke(deid_node, ["status", "--json", "-c", str(tmp_path / "node.toml")])
    assert done.exit_code == 0
    assert set(json.loads(done.stdout)["conservation"].values()) == {0}
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("verb", ["status", "studies", "verify"])
def test_an_index_of_an_older_version_is_not_taken_for_an_empty_one(
    node: MakeNode, verb: str
) -> None:
    """After an upgrade, before `process` has started: what waits is not nothing."""
    made = node(1)
    engine = open_index(Inbox(made.config.inbox_dir).database)
    with engine.begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    engine.dispose()
    done = made.cli(verb)
    assert done.exit_code == 1
    assert "is of an older version; its role migrates it when it starts" in done.output
    page = TestClient(make_app(made.config), base_url="http://127.0.0.1").get("/")
    assert (page.status_code, "older version" in page.text) == (503, True)


def test_a_release_that_is_sent_nowhere_is_told(node: MakeNode) -> None:
    """In the table and for programs."""
    made = node(1)
    assert made.json("status")["refused_releases"] == []
    refuse_release(made.config)
    assert made.json("status")["refused_releases"] == [
        {"release": "forged-g1", "reason": "it is not signed"}
    ]
    assert "forged-g1 is sent nowhere" in made.cli("status").output


def test_a_file_that_arrived_and_has_no_row_yet_is_counted_once(node: MakeNode) -> None:
    """Received = rows + files in arrived/, also in the moment between the row and the rename."""
    made = node(1)
    arrived = Inbox(made.config.inbox_dir).arrived
    (arrived / "newcomer00-000001.dcm").touch()
    (arrived / "assoc00000-000001.dcm").touch()  # has its row
    counts = made.json("status")["conservation"]
    assert counts["received"] == 5
    assert counts["pending"] == 1


def test_a_role_that_holds_its_lock_is_alive(node: MakeNode) -> None:
    """Liveness is the kernel's lock, not a file with a number in it."""
    made = node(0)
    lock_file(Inbox(made.config.inbox_dir).locks / "receive.lock")
    roles = made.json("status")["roles"]
    assert roles["receive"] is True
    assert roles["process"] is False


def test_status_draws_bars_and_the_sum_of_everything(node: MakeNode) -> None:
    """For people: one line per study, and conservation."""
    text = node(4).cli("status").output
    assert study_id(2) in text
    assert "2 of 4" in text
    assert "16 received = 4 released + 4 held" in text.replace("\n", " ")


def test_studies_can_be_listed_by_state(node: MakeNode) -> None:
    """As JSON for programs and as lines for people."""
    made = node(8)
    held = made.json("studies", "--state", "held")
    assert {row["state"] for row in held} == {"HELD"}
    assert {"study", "state", "route", "modality", "instances", "generations"} <= set(held[0])
    assert study_id(0) in made.cli("studies").output


def test_show_tells_one_studys_story(node: MakeNode) -> None:
    """Findings, series, deliveries, timeline."""
    made = node(2)
    told = made.json("show", study_id(1))
    assert told["timeline"][0]["event"] == "study_opened"
    assert told["timeline"][0]["at"] == "2026-01-02T03:04:06+00:00"
    assert told["deliveries"][0]["state"] == "DELIVERED"
    assert told["series"] == [
        {
            "series": 1,
            "modality": "CT",
            "first": "assoc00001-000001",
            "states": {"DEIDENTIFIED": 4},
            "waiting": [],
        }
    ]
    text = made.cli("held", "show", study_id(0)).output
    assert "Burned In Annotation" in text


@pytest.mark.parametrize("verb", [("show",), ("held", "show"), ("held", "release"), ("complete",)])
def test_a_study_that_is_not_there_is_one_line_and_exit_1(
    node: MakeNode, verb: tuple[str, ...]
) -> None:
    """The line says how to find the right one."""
    done = node(1).cli(*verb, "nosuchid")
    assert done.exit_code == 1
    assert "there is no study nosuchid" in done.stderr


def test_deliveries_are_listed(node: MakeNode) -> None:
    """Every release at every destination."""
    (delivery,) = node(4).json("delivery", "list")
    assert delivery["study"] == study_id(1)
    assert (delivery["destination"], delivery["state"]) == ("research", "DELIVERED")
    assert (delivery["stored"], delivery["total"]) == (4, 4)


def test_nothing_that_is_listed_tells_an_identifier(node: MakeNode) -> None:
    """Patient IDs and original UIDs are in the index, and in no list."""
    made = node(4)
    for verb in (("status",), ("studies",), ("show", study_id(0)), ("delivery", "list")):
        text = made.cli(*verb, "--json").output
        assert "MRN000001" not in text
        assert "1.2.3.0" not in text


def test_a_database_of_a_newer_version_is_one_line(node: MakeNode) -> None:
    """The reader stops; it does not guess at columns."""
    made = node(1)
    import sqlite3  # noqa: PLC0415 -- to play the newer version

    with sqlite3.connect(Inbox(made.config.inbox_dir).database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
    connection.close()
    done = made.cli("status")
    assert done.exit_code == 1
    assert "newer version" in done.stderr
    assert len(done.stderr.splitlines()) == 1
