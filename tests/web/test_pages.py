"""What the pages show, and what no answer lacks."""

from __future__ import annotations

import sqlite3

import pytest

from node.inbox.layout import Inbox
from tests.web.conftest import Ask
from tests.web.filled import refuse_release, study_id

REFUSED_ON = {
    "/": "Release <strong>forged-g1</strong> is sent nowhere: it is not signed",
    "/metrics": "deid_node_refused_releases 1.0",
}


def test_a_node_that_has_seen_nothing_says_so(ask: Ask) -> None:
    """No study, no error."""
    page = ask(studies=0).get("/").text
    assert "No study has arrived yet" in page


def test_the_overview_shows_studies_with_their_progress(ask: Ask) -> None:
    """Each study has its state, its modality and a bar."""
    page = ask(studies=3).get("/").text
    assert f'href="/studies/{study_id(2)}"' in page
    assert '<progress value="2" max="4"' in page
    assert "2 of 4" in page


def test_held_studies_stand_out_with_their_reason(ask: Ask) -> None:
    """The operator's first question is what waits for a person, and why."""
    page = ask(studies=1).get("/").text
    assert "Waiting for a person" in page
    assert "Burned In Annotation says YES" in page


def test_the_list_can_be_narrowed_to_a_state(ask: Ask) -> None:
    """A chip per state; a state that does not exist shows all."""
    client = ask(studies=8)
    held = client.get("/?state=HELD").text
    assert f"row-{study_id(0)}" in held
    assert f"row-{study_id(1)}" not in held
    assert f"row-{study_id(1)}" in client.get("/?state=<script>").text


def test_two_thousand_studies_make_a_page_of_fifty(ask: Ask) -> None:
    """The page's size does not grow with the node's age."""
    page = ask(studies=2000).get("/").text
    assert page.count('id="row-') == 50
    assert "of 2000" in page
    assert len(page) < 60_000


def test_a_study_has_its_findings_series_deliveries_and_timeline(ask: Ask) -> None:
    """One page tells one study's story."""
    client = ask(studies=2)
    held = client.get(f"/studies/{study_id(0)}").text
    for text in ("Burned In Annotation says YES", "PixelData", "study opened", "4 deidentified"):
        assert text in held
    released = client.get(f"/studies/{study_id(1)}").text
    assert "research" in released
    assert "delivered" in released


def test_a_study_that_is_not_there_is_404(ask: Ask) -> None:
    """And nothing of the address is repeated."""
    answer = ask(studies=1).get("/studies/nosuchid")
    assert answer.status_code == 404
    assert "nosuchid" not in answer.text


def test_conservation_that_does_not_balance_is_shouted(ask: Ask) -> None:
    """A count that was tampered with is seen on the first page."""
    client = ask(studies=3)
    database = Inbox(client.app.state.config.inbox_dir).database  # type: ignore[attr-defined] -- a Starlette
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE total SET received = received + 7 WHERE state = 'RELEASED'")
    connection.close()
    assert "does not balance" in client.get("/").text


def test_a_release_that_is_sent_nowhere_is_shouted(ask: Ask) -> None:
    """A manifest that cannot be trusted names no destination, so no row of theirs would tell."""
    client = ask(studies=1)
    config = client.app.state.config  # type: ignore[attr-defined] -- a Starlette
    refuse_release(config)
    for path in ("/", "/metrics"):
        assert REFUSED_ON[path] in client.get(path).text


@pytest.mark.parametrize("path", ["/", "/studies/s0000000", "/static/style.css", "/no", "/healthz"])
def test_every_answer_forbids_outside_sources(ask: Ask, path: str) -> None:
    """A strict policy: nothing inline, nothing from elsewhere, no frames."""
    policy = ask(studies=1).get(path).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_pages_obey_their_own_policy(ask: Ask) -> None:
    """No inline script, style or handler, and every source is ours."""
    client = ask(studies=4)
    for path in ("/", f"/studies/{study_id(0)}"):
        page = client.get(path).text
        assert "style=" not in page
        assert "<style" not in page
        assert " onclick" not in page
        assert "http://" not in page
        assert "https://" not in page


def test_another_host_name_is_refused(ask: Ask) -> None:
    """A page elsewhere cannot reach us by a name that it made to mean 127.0.0.1."""
    client = ask(studies=1)
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"host": "localhost:8114"}).status_code == 200


def test_no_page_shows_an_identifier(ask: Ask) -> None:
    """What the index knows of patients stays in the index."""
    client = ask(studies=4)
    for path in ("/", f"/studies/{study_id(0)}", f"/studies/{study_id(1)}", "/metrics"):
        page = client.get(path).text
        assert "MRN000001" not in page
        assert "1.2.3.0.0" not in page
