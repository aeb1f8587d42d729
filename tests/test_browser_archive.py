"""The archive as an administrator sees it, and a chart that reaches back into it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsing import OVERFLOW, PATIENCE_MS, LivingSite, Troubles

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

RULES = "/admin/readings/retentionrule/"
A_YEAR_OF_DAYS = """
from datetime import timedelta
from django.utils import timezone
from devices.models import Device, Metric
from devices.readings.models import RetentionRule
from devices.readings.retention import prune
from devices.readings.rollups import roll_up
from devices.readings.samples import Sample
from devices.readings.store import get_store

now = timezone.now()
tank = Device.objects.get(name="Overhead Tank", community__slug="ambapur")
meter = Metric.objects.create(
    device=tank, name="counter_l", label="Counter", unit="L", expected_every_s=86400
)
days = [now - timedelta(days=n, hours=1) for n in range(200)]
get_store().write([Sample(tank.pk, at, 0, {meter.pk: float(n)}) for n, at in enumerate(days)])
roll_up(now)
RetentionRule.objects.update(readings_days=30, archive=True)
RetentionRule.objects.update(changed_at=now - timedelta(days=8))
prune(now)
"""
SCREENS = [((390, 844), "dark"), ((1440, 900), "light")]


@pytest.fixture(scope="module")
def archived(living: LivingSite) -> LivingSite:
    """The demonstration with a meter that was read once a day, most of it in the archive."""
    living.run(A_YEAR_OF_DAYS)
    return living


def look_at_a_year(page: Page, site: LivingSite) -> None:
    """To the chart of the meter's year."""
    page.goto(site.url(f"{site.device('Overhead Tank')}?metric=counter_l&range=1y"))


def test_a_chart_says_that_it_reaches_into_the_archive(
    archived: LivingSite, browser: Browser
) -> None:
    page = archived.person(browser)
    troubles = Troubles()
    troubles.watch(page)
    look_at_a_year(page, archived)
    words = page.get_by_text("From single readings in the archive; since")
    expect(words).to_be_visible(timeout=PATIENCE_MS)
    expect(words).to_contain_text("from single readings.")
    assert troubles.said == []


@pytest.mark.parametrize(("size", "scheme"), SCREENS)
def test_the_archive_fits_its_page(
    archived: LivingSite, browser: Browser, size: tuple[int, int], scheme: str
) -> None:
    width, height = size
    page = archived.person(
        browser, viewport={"width": width, "height": height}, color_scheme=scheme
    )
    page.goto(archived.url(RULES))
    expect(page.get_by_role("heading", name="What the archive holds")).to_be_visible()
    expect(page.locator("section", has_text="What the archive holds").first).to_contain_text(
        "1 file"
    )
    expect(page.get_by_text("30 days, then in the archive")).to_be_visible()
    assert page.evaluate(OVERFLOW) <= 0


def test_a_missing_file_is_told_on_the_page_and_on_the_chart(
    archived: LivingSite, browser: Browser
) -> None:
    page = archived.person(browser)
    files = sorted(Path(archived.site.data_dir, "archive").rglob("*.parquet"))
    away = files[0].rename(files[0].with_suffix(".away"))
    try:
        page.goto(archived.url(RULES))
        expect(page.get_by_role("alert")).to_contain_text("1 of the archive’s files is missing")
        look_at_a_year(page, archived)
        expect(page.get_by_text(f"its file 2026/{files[0].name} is missing")).to_be_visible(
            timeout=PATIENCE_MS
        )
    finally:
        away.rename(files[0])
