"""Somebody calibrates a field; whoever looks at the device sees it without reloading."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.browsing import OVERFLOW, PATIENCE_MS, LivingSite, Troubles

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

MAPPING = (
    "SELECT m.id FROM devices_fieldmapping m JOIN devices_metric x ON x.id = m.metric_id "
    "JOIN devices_device d ON d.id = x.device_id WHERE x.name = ? AND d.name = ?"
)
ADD = "/admin/devices/calibrationversion/add/?of={}"


def test_a_calibration_is_seen_before_it_is_saved_and_reaches_open_pages(
    living: LivingSite, browser: Browser
) -> None:
    person = living.person(browser)
    looker = browser.new_context(storage_state=person.context.storage_state()).new_page()
    troubles = Troubles()
    troubles.watch(looker)
    looker.goto(living.url(living.device("Overhead Tank")))
    shown = looker.locator(".metric", has_text="Water level").locator("[data-value]")
    expect(shown).to_have_text(re.compile(r"^[0-9]{2,3}\.[0-9]$"), timeout=PATIENCE_MS)

    person.goto(
        living.url(ADD.format(living.site.value(MAPPING, "water_level_cm", "Overhead Tank")))
    )
    expect(person.locator("[name=scale]")).to_be_visible()
    expect(person.locator("[name=points]")).to_be_hidden()
    preview = person.locator("#calibrate [data-preview]")
    person.fill("[name=scale]", "1000")
    expect(preview).to_contain_text(re.compile(r"[0-9]{2,3},[0-9]{3}\.[0-9] cm"))
    person.select_option("[name=kind]", "two_point")
    expect(person.locator("[name=scale]")).to_be_hidden()
    expect(preview).to_contain_text("This has to be entered")
    for box, number in (("raw_1", "0"), ("true_1", "0"), ("raw_2", "1"), ("true_2", "1000")):
        person.fill(f"[name={box}]", number)
    person.select_option("[name=valid_from_0]", "always")
    expect(preview).to_contain_text(re.compile(r"It governs [0-9,]+ received entries"))
    expect(preview.locator("svg")).to_be_visible()
    person.click("[name=_save]")

    person.click("text=watch the progress >> nth=0")
    expect(person.locator("body")).to_contain_text("entries recalculated", timeout=PATIENCE_MS)
    expect(shown).to_have_text(re.compile(r"^[0-9]{2,3},?[0-9]{3}\.[0-9]$"), timeout=PATIENCE_MS)
    assert troubles.loads == 1
    assert troubles.said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_calibrating_fits_a_small_phone(living: LivingSite, browser: Browser, scheme: str) -> None:
    page = living.person(
        browser,
        viewport={"width": 360, "height": 740},
        is_mobile=True,
        color_scheme=scheme,
    )
    mapping = living.site.value(MAPPING, "water_level_cm", "Overhead Tank")
    for path in (ADD.format(mapping), f"/admin/devices/fieldmapping/{mapping}/recompute/"):
        page.goto(living.url(path))
        assert page.evaluate(OVERFLOW) <= 0, path
