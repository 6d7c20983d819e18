"""A person decides on the pages of a running node, and the studies go where they were sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from node import audit
from node.web.users import Right, make_user, write_users
from tests.acceptance.running_node import RunningNode, running_node
from tests.factories import identifiers, make_instance, patient_name
from tests.peers import research_pacs, send
from tests.ports import free_port
from tests.web.browser import browser, browser_marks, watched_page

__all__ = ["browser"]
pytestmark = [*browser_marks, pytest.mark.acceptance]
PASSWORD = "a long password"
RELEASED, BY_SERIES, BY_INSTANCE, REJECTED, REQUEUED = range(1, 6)


def burned_in(patient: int, series: int = 1, instance: int = 1) -> Any:
    """Build an image that says that a name is burned in: its study is held."""
    return make_instance(patient=patient, series=series, instance=instance, modality="OT")


def cine(patient: int) -> Any:
    """Build a burned-in image of three frames."""
    image = burned_in(patient, instance=3)
    image.NumberOfFrames = 3
    image.PixelData = b"".join(bytes([value, 0]) * 16 * 16 for value in (10, 100, 200))
    return image


@contextmanager
def node_with_page(folder: Path, pacs_port: int) -> Iterator[tuple[RunningNode, str]]:
    """Run a node whose page has two users, and give the page's address."""
    users, port = folder / "web-users", free_port()
    known = [make_user("ada", Right.DECIDE, PASSWORD), make_user("bob", Right.WATCH, PASSWORD)]
    write_users(users, {user.name: user for user in known})
    changed = {"[web]\nport = 0": f'[web]\nport = {port}\nusers = "{users}"'}
    with running_node(folder, pacs_port, changed=changed) as node:
        yield node, f"http://127.0.0.1:{port}"


def sign_in(page: Page, address: str, name: str) -> None:
    """Sign in as a person does."""
    page.goto(address)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Studies", exact=True)).to_be_visible()


def find(page: Page, address: str, patient: int) -> str:
    """Ask for a patient's study by the Patient ID, and give its address."""
    page.goto(address)
    page.get_by_label("Find a study").fill(f"MRN{patient:06d}")
    page.get_by_label("Find a study").press("Enter")
    expect(page.get_by_role("heading", name="Findings")).to_be_visible()
    return page.url


def decide(page: Page, button: str, reason: str) -> None:
    """Give a reason and press a button."""
    page.get_by_role("textbox", name="Reason").fill(reason)
    page.get_by_role("button", name=button).click()


def expect_state(page: Page, state: str) -> None:
    """Wait until the open study says its state, without a reload."""
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text(state, timeout=60_000)


def test_decisions_on_the_page_move_studies(browser: Browser, tmp_path: Path) -> None:
    """By study, by series and by instance: each goes where it was sent, with name and reason."""
    with (
        research_pacs(tmp_path / "pacs") as pacs,
        node_with_page(tmp_path, pacs.port) as (node, address),
        watched_page(browser) as page,
    ):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        images = [burned_in(patient) for patient in (RELEASED, REJECTED, REQUEUED)]
        images += [make_instance(patient=BY_SERIES, instance=n) for n in (1, 2)]
        images += [burned_in(BY_SERIES, series=2, instance=n) for n in (3, 4)]
        images += [make_instance(patient=BY_INSTANCE, instance=n) for n in (1, 2)]
        images += [cine(BY_INSTANCE)]
        assert set(send(images, node.port)) == {0x0000}
        node.wait_until(lambda now: now["conservation"]["held"] == 10, "holding")
        sign_in(page, address, "ada")

        find(page, address, RELEASED)
        page.get_by_label("release against the findings").check()
        decide(page, "Release", "the burned-in text is a scale")
        expect_state(page, "released")
        expect(page.get_by_text("the burned-in text is a scale")).to_be_visible()
        expect(page.get_by_role("button", name="Release")).to_have_count(0)

        find(page, address, BY_SERIES)
        page.get_by_label("series to exclude").select_option("2")
        decide(page, "Exclude the series", "screen captures")
        expect_state(page, "released")

        find(page, address, BY_INSTANCE)
        page.get_by_role("row", name="burned").get_by_role("link").first.click()
        look_at_the_cine(page)
        decide(page, "Exclude this instance", "a name is burned in")
        expect_state(page, "released")

        find(page, address, REJECTED)
        decide(page, "Reject the study", "no consent")
        expect_state(page, "rejected")

        find(page, address, REQUEUED)
        decide(page, "Process anew", "the profile was mended")
        expect(page.get_by_text("study requeued")).to_be_visible(timeout=60_000)
        expect_state(page, "held")

        counts = node.wait_settled(received=10)["conservation"]
        assert (counts["released"], counts["excluded"]) == (5, 3)
        assert (counts["rejected"], counts["held"]) == (1, 1)
        assert len(pacs.received) == 5
        assert not [url for url in asked for value in everything_identifying() if value in url]
        entries = audit.read(node.data / "inbox" / "audit" / "people.jsonl")
        done = [(entry.who, entry.what) for entry in entries]
        assert done.count(("ada", "decided")) == 5
        assert ("ada", "revealed") in done


def look_at_the_cine(page: Page) -> None:
    """Before and after as a table, and every frame as a picture."""
    expect(page.locator("#picture")).to_be_visible()
    slider = page.get_by_label("frame", exact=True)
    slider.focus()
    with page.expect_response(lambda answer: "n=2" in answer.url):
        slider.press("End")
    expect(page.locator("#frame-shown")).to_have_text("3")
    name = page.get_by_role("row", name="PatientName")
    expect(name).to_contain_text(patient_name(BY_INSTANCE))


def everything_identifying() -> list[str]:
    """Give what must be in no address."""
    return [value for patient in range(1, 6) for value in identifiers(patient)]


def test_who_may_only_watch_cannot_decide(browser: Browser, tmp_path: Path) -> None:
    """No button, no picture, no name; and what the page does not offer, the server refuses."""
    with (
        research_pacs(tmp_path / "pacs") as pacs,
        node_with_page(tmp_path, pacs.port) as (node, address),
        watched_page(browser) as page,
    ):
        send([burned_in(1)], node.port)
        node.wait_until(lambda now: now["conservation"]["held"] == 1, "holding")
        sign_in(page, address, "bob")
        page.get_by_label("Held studies").get_by_role("link").first.click()
        expect(page.get_by_role("heading", name="Findings")).to_be_visible()
        expect(page.get_by_role("button", name="Release")).to_have_count(0)
        shown = page.content()
        assert not [value for value in identifiers(1) if value in shown]

        form = {"kind": "release", "override": "yes", "reason": "x"}
        token = page.locator("input[name=csrf]").first.get_attribute("value") or ""
        for csrf in (token, ""):
            told = page.request.post(f"{page.url}/decide", form=form | {"csrf": csrf})
            assert told.status == 403
        with watched_page(browser) as other:
            sign_in(other, address, "ada")
            told = other.request.post(f"{page.url}/decide", form=form | {"csrf": token})
            assert told.status == 403  # a form of another session is not hers
        assert node.status()["conservation"]["held"] == 1
        assert not list((node.data / "inbox" / "decisions").iterdir())
