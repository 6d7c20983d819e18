"""Debian's chromium, headless, for tests that look at pages as a person does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
browser_marks = [
    pytest.mark.skipif(
        CHROMIUM is None, reason="pages were not looked at: apt-get install chromium"
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # playwright's own sockets
]


@pytest.fixture(scope="module", name="browser")
def browser() -> Iterator[Browser]:
    """Start a browser for the tests of a module."""
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield started
        started.close()


@contextmanager
def watched_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """Open a page in a session of its own; anything written to its console is a failure."""
    page = browser.new_context(**options).new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.context.close()
    assert complaints == []
