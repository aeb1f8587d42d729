"""The first look of a newcomer: one command, one login, and values move in the browser."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from telemetry_site.tests.whole_site import LOGIN, Site

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
VALUES = "[...document.querySelectorAll('[data-value]')].map((one) => one.textContent)"
FIRST_VALUE_S = 60

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=ARGUMENTS)
        yield browser.new_page()
        browser.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.clear()


def sign_in(page: Page, site: Site, password: str) -> None:
    page.goto(f"http://127.0.0.1:{site.port}/")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_selector("[data-value]", timeout=60_000)


def test_values_move_within_a_minute_of_the_first_start(site: Site, page: Page) -> None:
    started = time.monotonic()
    shown = LOGIN.search(site.start(DEMO="1"))
    assert shown is not None
    troubles: list[str] = []
    page.on("console", lambda one: troubles.extend([one.text] if one.type == "error" else []))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    sign_in(page, site, shown[1])
    loads: list[str] = []
    page.on("load", lambda _: loads.append("reloaded"))
    page.goto(f"http://127.0.0.1:{site.port}/communities/ambapur/")
    loads.clear()
    before = page.evaluate(VALUES)
    left_ms = max(1.0, FIRST_VALUE_S - (time.monotonic() - started)) * 1000
    page.wait_for_function(
        f"(before) => {VALUES}.some((text, at) => /[0-9]/.test(text) && text !== before[at])",
        arg=before,
        timeout=left_ms,
    )
    assert not loads  # without a reload
    assert not troubles  # no script error, no violation of the content policy
