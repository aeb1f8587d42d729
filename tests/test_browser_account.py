"""An account's page: budgets by name, and a pause that is watched and ended by hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsing import OVERFLOW, PATIENCE_MS, LivingSite, Troubles

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
SLACK = "/admin/ingestion/priorityslack/"


def account(living: LivingSite) -> str:
    pk = living.site.value("SELECT min(id) FROM devices_connection")
    return f"/admin/devices/connection/{pk}/change/"


def shoot(page: Page, name: str) -> None:
    """For whoever wants to look: pictures go where SHOTS says."""
    if "SHOTS" in os.environ:
        page.screenshot(path=str(Path(os.environ["SHOTS"]) / f"{name}.png"), full_page=True)


def test_boxes_for_a_budget_of_ones_own_come_when_it_is_wanted(
    living: LivingSite, browser: Browser
) -> None:
    page = living.person(browser)
    page.goto(living.url(account(living)))
    limit, preset = page.locator("#id_rate_limit"), page.locator("#id_preset")
    preset.select_option("60")
    expect(limit).to_be_hidden()
    preset.select_option("custom")
    expect(limit).to_be_visible()
    expect(page.locator("#id_rate_window_s")).to_be_visible()


def test_a_used_up_licence_is_watched_and_the_pause_ended_by_hand(
    living: LivingSite, browser: Browser
) -> None:
    page = living.person(browser)
    page.goto(living.url(account(living)))
    troubles = Troubles()
    troubles.watch(page)
    state, button = page.locator(".gate-state"), page.locator(".gate-button")
    expect(state).to_have_text("Full speed", timeout=PATIENCE_MS)
    expect(button).to_have_count(0)
    shoot(page, "account-healthy")

    living.provider("faults", {"kind": "status", "code": 402})
    expect(state).to_have_text("Paused", timeout=PATIENCE_MS)  # without a reload
    expect(page.locator(".gate")).to_contain_text("the provider says that its licence is used up")
    shoot(page, "account-paused")
    assert (troubles.loads, troubles.said) == (0, [])

    living.provider("faults", method="DELETE")
    button.click()
    expect(
        page.get_by_text("The pause is over and the provider is asked again now.")
    ).to_be_visible()
    expect(state).to_have_text("Full speed", timeout=PATIENCE_MS)


def test_they_fit_a_phone_and_a_desk_in_light_and_dark(
    living: LivingSite, browser: Browser
) -> None:
    living.site.change("UPDATE devices_connection SET breaker_open_s = 60, breaker_open_max_s = 60")
    living.provider("faults", {"kind": "status", "code": 500})
    for width in (390, 1440):
        for scheme in ("light", "dark"):
            view = {"width": width, "height": 900}
            page = living.person(browser, viewport=view, color_scheme=scheme)
            for name, path in (("account", account(living)), ("slack", SLACK)):
                page.goto(living.url(path))
                if name == "account":
                    expect(page.locator(".gate-state")).to_have_text(
                        "Provider down", timeout=PATIENCE_MS
                    )
                shoot(page, f"{name}-{width}-{scheme}")
                assert page.evaluate(OVERFLOW) <= 0, (width, path)
            page.context.close()
