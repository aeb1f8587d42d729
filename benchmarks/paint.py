"""From an entry that is about to be stored to its value painted in a real browser."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.request import urlopen

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone
from playwright.sync_api import Page, sync_playwright

from benchmarks.fleet import build
from benchmarks.report import Figure, percentile
from devices.models import Device, Source
from devices.readings.samples import Origin
from ingestion.entries import Entry
from ingestion.pipeline import Delivery, ingest
from ingestion.rules import field_rules

LIMIT_MS = 250.0
MEDIAN_LIMIT_MS = 100.0
WARM_UPS = 5
SAMPLES = 100
PAUSE_S = 0.15
START_S = 30.0
BROWSER = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
HEADLINE = ".value-headline [data-value]"

# Two frames: the first may still be the one in which the text was changed, not painted.
OBSERVE = """(selector) => {
  window.painted = [];
  const value = document.querySelector(selector);
  new MutationObserver(() => {
    const text = value.textContent;
    requestAnimationFrame(() => requestAnimationFrame(() =>
      window.painted.push([text, performance.timeOrigin + performance.now()])));
  }).observe(value, { childList: true, characterData: true, subtree: true });
}"""


class NotPainted(Exception):
    """A value never appeared on the page."""


def run() -> Iterator[Figure]:
    """Median and p95 over entries stored one by one while the device's page is open."""
    # Playwright keeps a loop in this thread; nothing else runs in it while the ORM works.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    network = build(24, timezone.now())
    with _web() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=BROWSER)
        context = browser.new_context()
        cookie = {"name": "sessionid", "value": _session(network.member), "url": address}
        context.add_cookies([cookie])  # type: ignore[list-item]  # all that is needed
        page = context.new_page()
        page.goto(f"{address}{network.devices[1].get_absolute_url()}")
        page.wait_for_selector("[data-status=live]")
        page.evaluate(OBSERVE, HEADLINE)
        taken = _measure(page, network.devices[1])
        browser.close()
    yield Figure(
        "paint",
        "stored to painted: median",
        percentile(taken, 50),
        MEDIAN_LIMIT_MS,
        "ms",
        len(taken),
    )
    yield Figure(
        "paint", "stored to painted: p95", percentile(taken, 95), LIMIT_MS, "ms", len(taken)
    )


def _measure(page: Page, device: Device) -> list[float]:
    source = device.sources.get()
    taken = [_one(page, source, number) for number in range(WARM_UPS + SAMPLES)]
    return taken[WARM_UPS:]


def _one(page: Page, source: Source, number: int) -> float:
    """Milliseconds from the call of the pipeline to the frame that shows the value."""
    time.sleep(PAUSE_S)
    text = f"{150 + number / 10:.1f}"
    rules = field_rules(source).usable
    now = timezone.now()
    entry = Entry(now + timedelta(milliseconds=number), 10_000 + number, {"field1": text})
    started = time.time() * 1000
    ingest(Delivery(source, rules, [entry], (), Origin.LIVE), now)
    find = f"() => window.painted.find(([text]) => text === '{text}')"
    handle = page.wait_for_function(find, timeout=5000)
    found: tuple[str, float] = handle.json_value()
    if not found:
        raise NotPainted(f"{text} never appeared.")
    return found[1] - started


def _session(user: User) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)


@contextmanager
def _web() -> Iterator[str]:
    """The web process as the Procfile starts it, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", "telemetry_site.asgi:application"]
    options = ["--port", str(port), "--ws", "websockets-sansio", "--loop", "uvloop"]
    quiet = ["--log-level", "warning", "--lifespan", "off", "--no-access-log"]
    process = subprocess.Popen(
        [*command, *options, *quiet], env={**os.environ, "SITE_URL": address}
    )
    try:
        _wait_for(f"{address}/healthz", process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=15)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urlopen(url, timeout=2):  # noqa: S310  # our own http address
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
