"""The pages as people meet them: drawn, alive, on a phone, in the dark, for all eyes."""

from __future__ import annotations

import csv
import re
from datetime import datetime
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsing import OVERFLOW, PATIENCE_MS, LivingSite, Troubles

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

DRAWN = """() => {
  const canvas = document.querySelector('[data-chart-plot] canvas');
  if (!canvas) return false;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return data.some((value, at) => at % 4 === 3 && value > 0);
}"""
# Pages fetch themselves anew each minute, which would show in the end what no message told.
NO_STEADY_REFRESH = """
  const every = window.setInterval;
  window.setInterval = (act, ms) => (ms >= 60_000 ? 0 : every(act, ms));
"""
NEWEST_ROW = "() => document.querySelector('[data-chart-rows] th')?.textContent ?? ''"


def test_a_new_device_shows_its_first_reading_without_a_reload(
    living: LivingSite, browser: Browser
) -> None:
    living.run(
        "from devices.models import Device\n"
        "pump = Device.objects.get(name='Pump House', community__slug='ambapur')\n"
        "Device.objects.create(community=pump.community, type=pump.type, name='Second Pump')"
    )
    page = living.person(browser)
    page.add_init_script(NO_STEADY_REFRESH)
    page.goto(living.url("/communities/ambapur/"))
    troubles = Troubles()
    troubles.watch(page)
    expect(page.locator("[data-live-text]")).to_have_text("Live", timeout=PATIENCE_MS)
    tile = page.locator(".tile", has_text="Second Pump")
    expect(tile.locator("[data-badge-text]")).to_have_text("New")

    living.run(
        "from devices.models import Device, ThingSpeakChannel\n"
        "device = Device.objects.get(name='Second Pump')\n"
        "channels = ThingSpeakChannel.objects.filter(device__community=device.community_id)\n"
        "channel = channels.get(device__name='Pump House')\n"
        "mappings = list(channel.mappings.select_related('metric'))\n"
        "channel.pk = channel.id = None\n"
        "channel._state.adding = True\n"
        "channel.device = device\n"
        "channel.save()\n"
        "for mapping in mappings:\n"
        "    metric = mapping.metric\n"
        "    metric.pk, metric.device = None, device\n"
        "    metric.save()\n"
        "    mapping.pk, mapping.source_id, mapping.metric = None, channel.pk, metric\n"
        "    mapping.save()\n"
    )
    expect(tile.locator("[data-badge-text]")).not_to_have_text("New", timeout=PATIENCE_MS)
    expect(tile.locator("[data-value]").first).to_be_visible()
    assert troubles == Troubles()


def test_a_device_page_draws_its_history_and_goes_on(living: LivingSite, browser: Browser) -> None:
    page = living.person(browser)
    troubles = Troubles()
    troubles.watch(page)
    page.goto(living.url(living.device("Pump House")))
    page.wait_for_function(DRAWN, timeout=PATIENCE_MS)
    expect(page.locator("[data-fact=latest]")).to_contain_text("kW")
    expect(page.locator("[data-chart-source]")).to_contain_text("readings")

    page.click("[data-chart-range='1h']")
    expect(page.locator("[data-chart-range='1h']")).to_have_attribute("aria-current", "true")
    assert "range=1h" in page.url
    page.click("text=Readings as a table")
    page.wait_for_selector("[data-chart-rows] th", timeout=PATIENCE_MS)

    row, at = page.evaluate(NEWEST_ROW), measured(page)
    page.wait_for_function(
        "(before) => document.querySelector('[data-chart-rows] th').textContent !== before",
        arg=row,
        timeout=PATIENCE_MS,
    )
    assert measured(page) > at

    with page.expect_download() as download:
        page.click("text=Download CSV")
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert list(rows[0]) == ["at", "value", "lowest", "highest"]
    assert [row["at"] for row in rows] == sorted({row["at"] for row in rows})
    assert page.locator("[data-chart-rows] tr").count() > 1
    assert troubles.loads == 1  # nothing of this took a reload
    assert troubles.said == []


def test_a_range_without_readings_has_no_lowest_average_or_trend(
    living: LivingSite, browser: Browser
) -> None:
    living.run(
        "from datetime import timedelta\n"
        "from django.utils import timezone\n"
        "from devices.models import Device, Metric\n"
        "from devices.readings.samples import Sample\n"
        "from devices.readings.store import get_store\n"
        "pump = Device.objects.get(name='Pump House', community__slug='ambapur')\n"
        "quiet = Device.objects.create(community=pump.community, type=pump.type, name='Quiet')\n"
        "level = Metric.objects.create(device=quiet, name='level_m', label='Level', unit='m')\n"
        "at = timezone.now() - timedelta(days=3)\n"
        "get_store().write([Sample(quiet.pk, at, 1, {level.pk: 14.7})])\n"
    )
    page = living.person(browser)
    page.goto(living.url(living.device("Quiet") + "?range=24h"))
    expect(page.locator("[data-chart-note=empty]")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("[data-fact=latest]")).to_have_text("14.7 m")
    for fact in ("trend", "min", "mean", "max"):
        expect(page.locator(f"[data-fact={fact}]")).to_have_text("–")
    page.click("text=Readings as a table")
    expect(page.locator("[data-chart-rows] tr")).to_have_count(0)

    page.click("[data-chart-range='7d']")
    expect(page.locator("[data-fact=max]")).to_have_text("14.7 m", timeout=PATIENCE_MS)
    expect(page.locator("[data-chart-rows] tr")).to_have_count(1)


def test_a_file_of_readings_says_how_far_it_is_and_that_it_is_there(
    living: LivingSite, browser: Browser
) -> None:
    page = living.person(browser)
    troubles = Troubles()
    troubles.watch(page)
    page.goto(living.url(living.device("Pump House")))
    page.select_option(".download-form [name=start]", "1970-01-01")
    page.select_option(".download-form [name=as]", "xlsx")
    with page.expect_download() as download:
        page.click(".download-form button")
        expect(page.locator("[data-download-words]")).to_have_text(
            re.compile("Reading|rows, up to|on its way|complete")
        )
    assert download.value.path().stat().st_size > 5_000
    expect(page.locator("[data-download-words]")).to_have_text("Your file is complete.")
    assert troubles.said == []


def test_every_page_fits_a_small_phone_by_day_and_by_night(
    living: LivingSite, browser: Browser
) -> None:
    page = living.person(browser, viewport={"width": 360, "height": 740}, is_mobile=True)
    troubles = Troubles()
    troubles.watch(page)
    grounds = set()
    for path in shown_paths(living):
        page.goto(living.url(path))
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(OVERFLOW) <= 0, (path, scheme)
            grounds.add(page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2
    assert troubles.said == []


def test_no_critical_obstacle_for_anybody(living: LivingSite, browser: Browser) -> None:
    page = living.person(browser)
    stranger = browser.new_context().new_page()
    paths = ["/", "/communities/neelkheda/", living.device("Overhead Tank")]
    found = {path: obstacles(page, living.url(path)) for path in paths}
    found["/login/"] = obstacles(stranger, living.url("/login/"))
    assert {path: some for path, some in found.items() if some} == {}


def test_logging_out_in_another_tab_ends_the_session_here(
    living: LivingSite, browser: Browser
) -> None:
    here = living.person(browser)
    here.goto(living.url("/communities/ambapur/"))
    expect(here.locator("[data-live-text]")).to_have_text("Live", timeout=PATIENCE_MS)
    there = here.context.new_page()
    there.goto(living.url("/"))
    there.click("[data-menu] summary")
    there.click("text=Log out")
    there.wait_for_selector("input[name=password]")
    expect(here.locator("[data-live-text]")).to_have_text("Session ended", timeout=PATIENCE_MS)
    here.click("[data-live-action]")
    here.wait_for_selector("input[name=password]")


def test_a_viewer_sees_their_community_and_nothing_else(
    living: LivingSite, browser: Browser
) -> None:
    living.run(
        "from django.contrib.auth.models import User\n"
        "from devices.models import Community, Membership, Role\n"
        f"viewer = User.objects.create_user('vina', password='{living.password}')\n"
        "village = Community.objects.get(slug='ambapur')\n"
        "Membership.objects.create(community=village, user=viewer, role=Role.VIEWER)"
    )
    page = living.person(browser, "vina")
    assert page.locator(".community h3").all_inner_texts() == ["Ambapur"]
    assert page.locator(".level-name").all_inner_texts() == ["Overhead Tank", "Sump"]
    assert page.locator("text=Admin").count() == 0
    elsewhere = ["/communities/neelkheda/", living.device("School Tank", "neelkheda")]
    for path in elsewhere:
        answer = page.goto(living.url(path))
        assert answer is not None
        assert answer.status == 404
        expect(page.locator("h1")).to_have_text("There is nothing here")
    page.goto(living.url(living.device("Cold Room")))
    expect(page.locator("h1")).to_have_text("Cold Room")
    assert page.locator("text=Edit this device").count() == 0
    page.goto(living.url("/admin/"))
    assert "/admin/login/" in page.url


def measured(page: Page) -> datetime:
    """When the value of the first card was measured."""
    stamp = page.locator(".metric time").first.get_attribute("datetime")
    assert stamp is not None
    return datetime.fromisoformat(stamp)


def shown_paths(living: LivingSite) -> list[str]:
    """A page of each kind, and devices in every condition."""
    devices = [living.device("Overhead Tank"), living.device("School Tank", "neelkheda")]
    new = living.device("New Flow Meter", "surajgaon")
    return ["/", "/communities/neelkheda/", *devices, new]


def obstacles(page: Page, url: str) -> list[str]:
    """What axe calls critical or serious: the rule, and where."""
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    report: dict[str, Any] = page.evaluate("() => axe.run()")
    return [
        f"{one['id']} at {[node['target'] for node in one['nodes']][:3]}"
        for one in report["violations"]
        if one["impact"] in ("critical", "serious")
    ]
