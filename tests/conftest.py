"""A real browser, and sites for it to look at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from telemetry_site.tests.whole_site import LOGIN, Site
from tests.browsing import ARGUMENTS, LivingSite


# Not for the whole session: while Playwright runs, its event loop would be in the way of others.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser window without any cookie."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site that was never started."""
    site = Site(tmp_path)
    yield site
    site.clear()


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingSite]:
    """The demonstration, shared by the tests of a module."""
    site = Site(tmp_path_factory.mktemp("site"))
    try:
        shown = LOGIN.search(site.start(DEMO="1"))
        assert shown is not None
        yield LivingSite(site, shown[1])
    finally:
        site.clear()
