"""Somebody exports a device's readings at the admin, brings them into another, and watches."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsing import OVERFLOW, PATIENCE_MS, LivingSite, Troubles

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
DEVICES = "/admin/devices/device/"


def open_device(page: Page, living: LivingSite, place: int) -> None:
    """A device's page in the admin."""
    page.goto(living.url(DEVICES))
    page.click(f"th.field-name a >> nth={place}")


def faults(page: Page, part: str) -> list[Any]:
    """What a checker of accessibility finds in what this page itself shows."""
    source = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    page.evaluate(f"() => {{ {source} }}")
    found = page.evaluate(f"() => axe.run('{part}')")
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]


def test_an_export_is_brought_back_in(living: LivingSite, browser: Browser, tmp_path: Path) -> None:
    page = living.person(browser, accept_downloads=True)
    open_device(page, living, 0)
    page.select_option(".device-files [name=as]", "xlsx")
    with page.expect_download() as caught:
        page.click(".device-files button:has-text('Export')")
    file = tmp_path / "readings.xlsx"
    caught.value.save_as(file)
    page.click("a:has-text('Import readings…')")
    troubles = Troubles()
    troubles.watch(page)
    page.set_input_files("input[type=file]", str(file))
    page.click("button:has-text('Upload and check')")
    expect(page.locator(".import-counts")).to_contain_text("are stored already")
    expect(page.locator(".import-preview tbody tr")).to_have_count(5)
    page.click("[name=_import]")
    expect(page.locator(".job-state")).to_have_text("Done", timeout=PATIENCE_MS)
    expect(page.locator(".job-report")).to_contain_text("New readings")
    assert troubles.said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_fit_a_phone_and_all_eyes(
    living: LivingSite, browser: Browser, tmp_path: Path, scheme: Any
) -> None:
    window = {"width": 390, "height": 844}
    page = living.person(browser, viewport=window, color_scheme=scheme)
    file = tmp_path / "readings.csv"
    file.write_text("time,entry,Lvl\n2026-01-01T05:30Z,1,20\n2026-01-01T05:31Z,2,x\n1/2/26,3,4\n")
    open_device(page, living, 0)
    expect(page.locator(".device-files")).to_be_visible()
    page.wait_for_load_state("load")
    assert page.evaluate(OVERFLOW) <= 0
    assert faults(page, ".device-files") == []
    page.click("a:has-text('Import readings…')")
    expect(page.locator(".import")).to_be_visible()
    page.wait_for_load_state("load")
    assert page.evaluate(OVERFLOW) <= 0
    assert faults(page, ".import") == []
    page.set_input_files("input[type=file]", str(file))
    page.click("button:has-text('Upload and check')")
    expect(page.locator("[name=_import]")).to_be_disabled()
    page.select_option("[name=column_0]", index=2)
    page.click("[name=_check]")
    expect(page.locator(".import-refused").last).to_contain_text("The time is not written")
    page.wait_for_load_state("load")
    assert page.evaluate(OVERFLOW) <= 0
    assert faults(page, ".import") == []
    page.click("[name=_import]:not([disabled])")
    expect(page.locator(".job-state")).to_have_text("Done", timeout=PATIENCE_MS)
    assert page.evaluate(OVERFLOW) <= 0
    assert faults(page, ".import, .job") == []
