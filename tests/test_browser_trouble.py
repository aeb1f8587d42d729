"""What people see when something breaks: nothing looks better than it is, and all comes back."""

from __future__ import annotations

import os
import signal
import time

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from tests.browsing import PATIENCE_MS, LivingSite, Troubles

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

AGE_S = """() => {
  const time = document.querySelector('.metric time');
  return (Date.now() - Date.parse(time.dateTime)) / 1000;
}"""
STAMPS = """() => {
  const rows = [...document.querySelectorAll('[data-chart-rows] th')];
  return rows.map((one) => one.textContent);
}"""


def test_an_outage_and_its_end_are_seen_without_a_reload(
    living: LivingSite, browser: Browser
) -> None:
    # Late after 32 s, stale after 33 s; a provider that is well again is asked again soon.
    living.site.change(
        "UPDATE devices_metric SET expected_every_s = 1 "
        "WHERE device_id IN (SELECT id FROM devices_device WHERE name = 'Pump House')"
    )
    living.site.change("UPDATE devices_connection SET breaker_open_s = 2")
    page = living.person(browser)
    device = page.context.new_page()
    troubles = Troubles()
    for window, path in ((page, "/communities/ambapur/"), (device, living.device("Pump House"))):
        window.goto(living.url(path))
        expect(window.locator("[data-live-text]")).to_have_text("Live", timeout=PATIENCE_MS)
        troubles.watch(window)

    pump = page.locator(".tile", has_text="Pump House")
    badges = pump.locator("[data-badge-text]"), device.locator("[data-badge-text]")
    for badge in badges:
        expect(badge).to_have_text("Online", timeout=PATIENCE_MS)

    living.provider("faults", {"kind": "status", "code": 500})
    banner = page.locator(".banner", has_text="Provider down")
    expect(banner).to_be_visible(timeout=PATIENCE_MS)
    expect(device.locator(".source-state")).to_have_text("Provider down", timeout=PATIENCE_MS)
    for badge in badges:
        expect(badge).to_have_text("Stale", timeout=PATIENCE_MS)
    assert device.evaluate(AGE_S) > 30
    expect(device.locator(".metric time").first).not_to_have_text("now")
    # The counters say what the tiles say.
    expect(page.locator("[data-count=stale]")).not_to_have_text("0", timeout=PATIENCE_MS)

    living.provider("faults", method="DELETE")
    expect(banner).to_have_count(0, timeout=PATIENCE_MS)
    for badge in badges:
        expect(badge).to_have_text("Online", timeout=PATIENCE_MS)
    expect(device.locator(".source-state")).to_have_text("OK", timeout=PATIENCE_MS)
    assert device.evaluate(AGE_S) < 30
    assert troubles.loads == 0
    assert troubles.said == []


def test_nothing_is_missed_while_the_line_is_down(living: LivingSite, browser: Browser) -> None:
    page = living.person(browser)
    line = Line(page)
    path = living.device("Pump House", "surajgaon")
    page.goto(living.url(f"{path}?range=1h"))
    status = page.locator("[data-live-text]")
    expect(status).to_have_text("Live", timeout=PATIENCE_MS)
    page.click("text=Readings as a table")
    page.wait_for_selector("[data-chart-rows] th", timeout=PATIENCE_MS)
    before = page.evaluate(STAMPS)

    line.cut()
    expect(status).to_have_text("Reconnecting", timeout=PATIENCE_MS)
    wait_for_news(page, living, path, 2)
    assert page.evaluate(STAMPS) == before
    line.restore()
    page.evaluate("() => dispatchEvent(new Event('online'))")  # as the browser tells it
    expect(status).to_have_text("Live", timeout=PATIENCE_MS)
    page.wait_for_function(
        "(before) => [...document.querySelectorAll('[data-chart-rows] th')].findIndex("
        "(one) => one.textContent === before) >= 2",
        arg=before[0],
        timeout=PATIENCE_MS,
    )
    # The newest rows, with some that were there before: as a fresh page has them.
    rows = page.evaluate(STAMPS)
    rows = rows[: rows.index(before[0]) + 3]
    page.reload()
    page.click("text=Readings as a table")
    page.wait_for_selector("[data-chart-rows] th", timeout=PATIENCE_MS)
    fresh = page.evaluate(STAMPS)
    start = fresh.index(rows[0])
    assert fresh[start : start + len(rows)] == rows


def test_without_redis_the_page_says_so_and_still_shows_values(
    living: LivingSite, browser: Browser
) -> None:
    page = living.person(browser)
    redis = living.site.main_process("valkey")
    os.kill(redis, signal.SIGSTOP)
    try:
        page.goto(living.url("/communities/ambapur/"))
        expect(page.locator(".banner")).to_contain_text("Redis does not answer")
        expect(page.locator("[data-live-text]")).to_have_text("Polling", timeout=PATIENCE_MS)
        assert page.locator(".tile [data-value]").count() > 8
    finally:
        os.kill(redis, signal.SIGCONT)
    expect(page.locator("[data-live-text]")).to_have_text("Live", timeout=PATIENCE_MS)
    expect(page.locator(".banner")).to_have_count(0, timeout=PATIENCE_MS)


class Line:
    """The page's socket connection, which can be cut and restored; page loads go another way."""

    def __init__(self, page: Page) -> None:
        self._up = True
        self._sockets: list[WebSocketRoute] = []
        page.route_web_socket("**/ws/**", self._connect)
        page.route("**/snapshot/", lambda route: route.continue_() if self._up else route.abort())

    def _connect(self, socket: WebSocketRoute) -> None:
        if self._up:
            self._sockets.append(socket)
            socket.connect_to_server()
        else:
            socket.close(code=1001)

    def cut(self) -> None:
        self._up = False
        for socket in self._sockets:
            socket.close(code=1001)
        self._sockets.clear()

    def restore(self) -> None:
        self._up = True


def wait_for_news(page: Page, living: LivingSite, path: str, count: int) -> None:
    """Wait until the device of this page has been heard so many times more."""
    query = (
        "SELECT max(l.sequence) FROM readings_latest l JOIN devices_metric m ON m.id = l.metric_id "
        "JOIN devices_device d ON d.id = m.device_id WHERE d.uuid = ?"
    )
    device = path.strip("/").rpartition("/")[2].replace("-", "")
    target = living.site.value(query, device) + count
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while living.site.value(query, device) < target:
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)  # not a sleep: the page's connections are served meanwhile
