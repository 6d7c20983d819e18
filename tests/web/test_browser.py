"""What a person sees in a real browser (Debian's chromium), and that it changes by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from node.config import NodeConfig
from node.inbox.decisions import read_decision, waiting_decisions
from node.inbox.index import open_index
from node.inbox.layout import Inbox
from node.inbox.originals import original
from node.inbox.tables import instance, study
from node.web import users
from node.web.users import Right, make_user, write_users
from tests.factories import make_instance, write_instance
from tests.web.browser import browser, browser_marks, watched_page
from tests.web.filled import INSTANCES, filled_node, study_id

__all__ = ["browser"]
pytestmark = browser_marks
Serve = Callable[[NodeConfig], str]


@pytest.fixture(name="page")
def _page(browser: Browser, serve: Serve) -> Iterator[Page]:  # noqa: ARG001 -- the page closes before the server
    """Give a page on which anything written to the console is a failure."""
    with watched_page(browser) as page:
        yield page


def process_one(config: NodeConfig, number: int) -> None:
    """Do what `process` does when the last instances of a study are done."""
    engine = open_index(Inbox(config.inbox_dir).database)
    with engine.begin() as conn:
        conn.execute(
            instance.update()
            .where(instance.c.study == study_id(number))
            .values(state="DEIDENTIFIED", released=True)
        )
        conn.execute(study.update().where(study.c.id == study_id(number)).values(state="RELEASED"))
    engine.dispose()


def test_progress_moves_without_a_reload(page: Page, serve: Serve, tmp_path: Path) -> None:
    """The bar and the state of a study follow the rows while one looks."""
    config = filled_node(tmp_path, 3)
    page.goto(serve(config))
    row = page.locator(f"#row-{study_id(2)}")
    expect(row.locator("progress")).to_have_attribute("value", str(INSTANCES // 2))
    process_one(config, 2)
    expect(row.locator("progress")).to_have_attribute("value", str(INSTANCES))
    expect(row).to_contain_text("released")


def test_a_person_goes_from_what_is_held_to_why(page: Page, serve: Serve, tmp_path: Path) -> None:
    """Two clicks at most."""
    page.goto(serve(filled_node(tmp_path, 4)))
    page.get_by_label("Held studies").get_by_role("link", name=study_id(0)).click()
    expect(page.get_by_role("heading", name="Findings")).to_be_visible()
    expect(page.get_by_text("Burned In Annotation says YES").first).to_be_visible()


def test_a_person_looks_at_a_cine_and_excludes_it(
    page: Page, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sign in, open what is held, go through its frames, decide with a reason."""
    monkeypatch.setattr(users, "_N", 2**4)
    file = tmp_path / "web-users"
    write_users(file, {"ada": make_user("ada", Right.DECIDE, "a long password")})
    config = filled_node(tmp_path, 1, f'[web]\nusers = "{file}"\n')
    cine = make_instance(rows=32)
    cine.NumberOfFrames = 3
    cine.PixelData = b"".join(bytes([value, 0]) * 32 * 32 for value in (10, 100, 200))
    write_instance(original(Inbox(config.inbox_dir), study_id(0), "assoc00000-000001"), cine)

    page.goto(serve(config))
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("a long password")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Held studies").get_by_role("link", name=study_id(0)).click()
    page.get_by_role("link", name="assoc00000-000001").first.click()

    picture = page.locator("#picture")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") == 32
    slider = page.get_by_label("frame", exact=True)
    slider.focus()
    with page.expect_response(lambda answer: "n=2" in answer.url):
        slider.press("End")
    expect(page.locator("#frame-shown")).to_have_text("3")
    expect(page.get_by_text("Quillfeather1^Zebedee1")).to_be_visible()

    page.get_by_role("textbox", name="Reason").fill("a name is burned in")
    page.get_by_role("button", name="Exclude this instance").click()
    expect(page.get_by_role("heading", name="Study")).to_be_visible()
    (path,) = waiting_decisions(Inbox(config.inbox_dir))
    decision = read_decision(path)
    assert (decision.who, decision.instance) == ("ada", "assoc00000-000001")


@pytest.mark.parametrize("studies", [0, 3, 2000])
def test_nothing_is_wider_than_a_phone(
    page: Page, serve: Serve, tmp_path: Path, studies: int
) -> None:
    """At 360 pixels nothing needs a sideways scroll."""
    page.set_viewport_size({"width": 360, "height": 700})
    address = serve(filled_node(tmp_path, studies))
    for path in ("/", *((f"/studies/{study_id(0)}",) if studies else ())):
        page.goto(address + path)
        expect(page.locator("main")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_themes(
    browser: Browser, serve: Serve, tmp_path: Path, scheme: str
) -> None:
    """The quiet text of the page has the contrast of WCAG AA (4.5) in either theme."""
    page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type] -- one of the two
    page.goto(serve(filled_node(tmp_path, 3)))
    for ink, ground in (("--quiet", "--card"), ("--ink", "--ground"), ("--warn", "--warn-ground"),
                        ("--accent", "--card"), ("--bad", "--ground"), ("--info", "--info-ground"),
                        ("--good", "--good-ground"), ("--bad", "--bad-ground")):  # fmt: skip
        assert contrast(page, ink, ground) >= 4.5, (ink, ground)
    page.close()


def contrast(page: Page, ink: str, ground: str) -> float:
    """Compute the WCAG contrast ratio of two of the page's colours."""
    lights = []
    for name in (ink, ground):
        value = page.evaluate(
            "n => getComputedStyle(document.documentElement).getPropertyValue(n).trim()", name
        )
        digits = value[1:] if len(value) == 7 else "".join(2 * digit for digit in value[1:])
        channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)
