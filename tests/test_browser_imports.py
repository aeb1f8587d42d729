"""Somebody brings in an exported channel at the admin, and watches it arrive without a reload."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from ingestion.imports.tests.scene import minutes
from tests.browsing import OVERFLOW, PATIENCE_MS, LivingSite, Troubles

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

CHANNELS = "/admin/devices/thingspeakchannel/"


def open_import(page: Page, living: LivingSite) -> None:
    """From the list of channels to the page that takes a file."""
    page.goto(living.url(CHANNELS))
    page.click("th.field-channel_id a >> nth=0")
    page.click("a:has-text('Import CSV…')")


def faults(page: Page) -> list[Any]:
    """What a checker of accessibility finds in what this page itself shows."""
    source = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    page.evaluate(f"() => {{ {source} }}")
    found = page.evaluate("() => axe.run('.import, .job')")
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]


def test_an_export_is_uploaded_checked_and_imported(
    living: LivingSite, browser: Browser, tmp_path: Path
) -> None:
    page = living.person(browser)
    file = tmp_path / "feeds.csv"
    file.write_bytes(minutes(20_000) + b"2026-02-01T00:00:00Z,9,broken,1,,,,\n")
    open_import(page, living)
    page.set_input_files("input[type=file]", str(file))
    page.click("button:has-text('Upload and check')")
    expect(page.locator(".import-counts")).to_contain_text("40,001 readings are new")
    expect(page.locator(".import-refused").first).to_contain_text("broken")
    troubles = Troubles()
    troubles.watch(page)
    page.click("button:has-text('Import 20,001 rows')")
    state = page.locator(".job-state")
    expect(state).to_have_text("Done", timeout=PATIENCE_MS)
    expect(page.locator(".job-report")).to_contain_text("40,001")
    assert troubles.loads == 1  # the panel followed the job by itself
    assert troubles.said == []

    page.goto(living.url("/admin/devices/job/"))
    expect(page.locator("#result_list, .result-list, table").first).to_contain_text("100 %")
    assert troubles.said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_fit_a_phone_and_all_eyes(
    living: LivingSite, browser: Browser, tmp_path: Path, scheme: Any
) -> None:
    window = {"width": 390, "height": 844}
    page = living.person(browser, viewport=window, color_scheme=scheme)
    file = tmp_path / "naive.csv"
    file.write_text("created_at,entry_id,Temp\n2026-01-01 05:30,1,20\n2026-01-01 05:31,2,21\n")
    open_import(page, living)
    assert page.evaluate(OVERFLOW) <= 0
    assert faults(page) == []
    page.set_input_files("input[type=file]", str(file))
    page.click("button:has-text('Upload and check')")
    expect(page.locator(".import-warnings")).to_contain_text("say no time zone")
    expect(page.locator("[name=_import]")).to_be_disabled()
    assert page.evaluate(OVERFLOW) <= 0
    assert faults(page) == []
    page.select_option("[name=zone]", "Asia/Kolkata")
    page.click("[name=_check]")
    page.click("[name=_import]:not([disabled])")
    expect(page.locator(".job-state")).to_have_text("Done", timeout=PATIENCE_MS)
    assert page.evaluate(OVERFLOW) <= 0
    assert faults(page) == []
