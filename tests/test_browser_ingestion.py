"""An outage and its end are watched on the ingestion page, as somebody would at three at night."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browsing import OVERFLOW, PATIENCE_MS, LivingSite, Troubles

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
PATH = "/admin/ingestion/status/"


def test_an_outage_and_its_end_are_watched_on_one_page(
    living: LivingSite, browser: Browser
) -> None:
    living.site.change("UPDATE devices_connection SET breaker_open_s = 2")
    page = living.person(browser)
    page.goto(living.url(PATH))
    troubles = Troubles()
    troubles.watch(page)
    card = page.locator(".obs-account")
    verdict = page.locator(".obs-verdict h2")
    expect(page.locator("[data-live-text]")).to_have_text("Live", timeout=PATIENCE_MS)
    expect(card.locator(".obs-badge").first).to_have_text("Healthy", timeout=PATIENCE_MS)
    expect(card.locator(".obs-bar-answered").first).to_be_attached(timeout=PATIENCE_MS)
    card.locator("summary", has_text="Forecast").click()
    expect(card.get_by_text("At this rate it serves")).to_be_visible()

    living.provider("faults", {"kind": "status", "code": 500})
    expect(verdict).to_contain_text("does not answer", timeout=PATIENCE_MS)
    trouble = page.locator(".obs-trouble.obs-bad")
    expect(trouble).to_contain_text("Affects")
    expect(trouble).to_contain_text("Tried already")
    expect(card.locator(".obs-badge").first).to_have_text("Provider down")
    expect(card.locator(".obs-bar-upstream").first).to_be_attached()
    expect(card.locator(".obs-line-down")).to_have_count(1, timeout=PATIENCE_MS)
    # What somebody opened stays open while everything around it is exchanged.
    expect(card.get_by_text("At this rate it serves")).to_be_visible()

    living.provider("faults", method="DELETE")
    expect(trouble).to_have_count(0, timeout=PATIENCE_MS)
    expect(card.locator(".obs-badge").first).to_have_text("Healthy", timeout=PATIENCE_MS)
    outages = card.locator("summary", has_text="Outages in 30 days")
    expect(outages).to_be_visible()
    expect(card.get_by_text("At this rate it serves")).to_be_visible()
    assert troubles.loads == 0
    assert troubles.said == []


def test_it_fits_a_phone_and_a_desk_in_light_and_dark(living: LivingSite, browser: Browser) -> None:
    for width, scheme in ((390, "dark"), (1440, "light")):
        view = {"width": width, "height": 900}
        page = living.person(browser, viewport=view, color_scheme=scheme)
        for path in (PATH, f"{PATH}levels/"):
            page.goto(living.url(path))
            expect(page.locator(".obs-card").first).to_be_visible()
            assert page.evaluate(OVERFLOW) <= 0, (width, path)


def test_a_page_that_lost_its_site_says_so(living: LivingSite, browser: Browser) -> None:
    page = living.person(browser)
    page.goto(living.url(PATH))
    text = page.locator("[data-live-text]")
    expect(text).to_have_text("Live", timeout=PATIENCE_MS)
    page.context.set_offline(True)
    expect(text).to_contain_text("The site does not answer", timeout=PATIENCE_MS)
    page.context.set_offline(False)
    expect(text).to_have_text("Live", timeout=PATIENCE_MS)
    page.context.clear_cookies()
    expect(text).to_contain_text("Signed out", timeout=PATIENCE_MS)
