"""From the first start of a new site, with the demonstration, to a value that moves on its page."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import requests

from benchmarks.report import Figure
from telemetry_site.tests.whole_site import LOGIN, Site, wait_for

RUNS = 3
MOST_S = 60.0
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
_VALUE = re.compile(r"data-value[^>]*>([^<]*[0-9][^<]*)<")


def run() -> Iterator[Figure]:
    """Seconds; everything is installed already."""
    taken = [_first_look() for _ in range(RUNS)]
    yield Figure("first-look", "from the first start to a value that moves", median(taken), MOST_S,
                 "s", RUNS)  # fmt: skip


def _first_look() -> float:
    with tempfile.TemporaryDirectory(prefix="first-look-") as folder, requests.Session() as person:
        site = Site(Path(folder))
        started = time.perf_counter()
        try:
            shown = LOGIN.search(site.start(DEMO="1"))
            assert shown is not None
            url = f"http://127.0.0.1:{site.port}"
            form = person.get(f"{url}/", timeout=60)
            token = _TOKEN.search(form.text)
            assert token is not None
            answers = {"csrfmiddlewaretoken": token[1], "username": "admin", "password": shown[1]}
            person.post(form.url, answers, timeout=60).raise_for_status()
            before = _values(person, url)
            wait_for(lambda: _values(person, url) != before)
            return time.perf_counter() - started
        finally:
            site.stop()


def _values(person: requests.Session, url: str) -> list[str]:
    page = person.get(f"{url}/communities/ambapur/", timeout=60)
    page.raise_for_status()
    return _VALUE.findall(page.text)
