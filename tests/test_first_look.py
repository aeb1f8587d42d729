"""The first look of a newcomer: one command, one login, and values move in the browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from telemetry_site.tests.whole_site import LOGIN, Site
from tests.browsing import Troubles, sign_in

VALUES = "[...document.querySelectorAll('[data-value]')].map((one) => one.textContent)"
PATIENCE_MS = 120_000
"""How long it takes when nothing else runs, `make bench NAME=first-look` says."""

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_values_move_after_the_first_start(site: Site, page: Page) -> None:
    shown = LOGIN.search(site.start(DEMO="1"))
    assert shown is not None
    sign_in(page, site, shown[1])
    troubles = Troubles()
    troubles.watch(page)
    page.goto(f"http://127.0.0.1:{site.port}/communities/ambapur/")
    before = page.evaluate(VALUES)
    page.wait_for_function(
        f"(before) => {VALUES}.some((text, at) => /[0-9]/.test(text) && text !== before[at])",
        arg=before,
        timeout=PATIENCE_MS,
    )
    assert troubles.loads == 1  # without a reload
    assert troubles.said == []  # no script error, no violation of the content policy
