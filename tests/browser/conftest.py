"""Headless Chromium on the running product. A missing browser fails in CI and skips elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.programs import missing
from tests.stack import Stack

ARGUMENTS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in str(item.path):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests here; each test gets a context of its own.

    Not for the session: Playwright leaves an event loop running, and Django then refuses the
    database to every test that follows.
    """
    path = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if path is None:
        missing("Chromium")
    # Five seconds, the library's own, are little where the machine is busy.
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


class Watched:
    """A page, and everything it complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda line: self.complaints.append(line.text) if line.type == "error" else None,
        )
        page.on(
            "response",
            lambda answer: (
                self.complaints.append(f"{answer.status} {answer.url}")
                if answer.status >= 400
                else None
            ),
        )


def sign_in(page: Page, stack: Stack) -> None:
    """Through the form, as a person does."""
    page.goto(stack.url("/login/"))
    name, password = stack.auth
    page.fill("#id_username", name)
    page.fill("#id_password", password)
    page.click("button[type=submit]")
    page.wait_for_url(stack.url("/"))


@pytest.fixture
def watched(browser: Browser, stack: Stack) -> Iterator[Watched]:
    """A signed-in page; the test fails when the page logged an error."""
    context = browser.new_context(viewport={"width": 1366, "height": 768}, locale="en-GB")
    seen = Watched(context.new_page())
    sign_in(seen.page, stack)
    yield seen
    context.close()
    assert seen.complaints == []


@pytest.fixture
def page(watched: Watched) -> Page:
    """A signed-in page at 1366x768."""
    return watched.page
