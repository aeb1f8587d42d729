"""Somebody connects their own ThingSpeak channel in one sitting at the admin, and sees it live."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsing import PATIENCE_MS, LivingSite, Troubles

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

TANK = "710001"  # a public channel of the simulated provider


def test_a_channel_is_connected_and_its_values_appear(living: LivingSite, browser: Browser) -> None:
    page = living.person(browser)
    page.goto(living.url("/admin/devices/device/add/"))
    page.fill("#id_name", "My own tank")
    choose(page, "community", "Ambapur")
    page.select_option("#id_type", label="Overhead tank (OHT)")
    page.fill("#id_tank_height_cm", "320")
    page.click("[name=_save]")
    page.wait_for_url("**/admin/devices/device/")

    page.goto(living.url("/admin/devices/thingspeakchannel/add/"))
    choose(page, "device", "My own tank")
    choose(page, "connection", "ThingSpeak (simulated)")
    page.fill("#id_channel_id", "999999999")
    page.click("[name=_verify]")
    expect(page.locator(".verify-result")).to_contain_text("knows no channel with this number")

    page.fill("#id_channel_id", TANK)
    page.click("[name=_verify]")
    expect(page.locator(".verify-result")).to_contain_text("Ambapur Overhead Tank")
    first = page.locator(".verify-row").first
    expect(first.locator("input[name$=-name]")).to_have_value("water_level_cm")
    expect(first.locator("input[name$=-unit]")).to_have_value("cm")
    expect(first.locator("[data-preview]")).to_have_text(re.compile(r"[0-9.]+ → [0-9.]+ cm"))
    # The preview follows what is typed: metres become centimetres.
    first.locator("input[name$=-scale]").fill("100")
    expect(first.locator("[data-preview]")).to_have_text(re.compile(r"→ [0-9]{5}(\.[0-9]+)? cm"))
    first.locator("input[name$=-scale]").fill("1")
    page.click("[name=_confirm]")
    page.wait_for_url(re.compile(r"/thingspeakchannel/[0-9]+/change/"))

    troubles = Troubles()
    troubles.watch(page)
    page.goto(living.url(living.device("My own tank")))
    level = page.locator(".metric", has_text="Water level").locator("[data-value]")
    expect(level).to_have_text(re.compile(r"[0-9]"), timeout=PATIENCE_MS)
    shown = level.inner_text()
    expect(level).not_to_have_text(shown, timeout=PATIENCE_MS)
    expect(page.locator("[data-tank]")).to_be_visible(timeout=PATIENCE_MS)
    assert troubles.loads == 1  # all of that without a reload
    assert troubles.said == []


def choose(page: Page, box: str, text: str) -> None:
    """Pick a row in one of the admin's searching boxes."""
    page.click(f"#id_{box} + .select2 .select2-selection")
    page.fill(".select2-search__field", text)
    page.click(f".select2-results__option:has-text('{text}')")
