"""A person at a browser in front of a whole site that runs in its own processes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request, urlopen
from uuid import UUID

from playwright.sync_api import Browser, ConsoleMessage, Page

from telemetry_site.tests.whole_site import PROJECT, Site

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# An arrow function: plain expressions are evaluated in the page, which its content policy forbids.
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
PATIENCE_MS = 60_000


def sign_in(page: Page, site: Site, password: str, username: str = "admin") -> None:
    """Log in as people do; ends on the overview."""
    page.goto(f"http://127.0.0.1:{site.port}/")
    page.fill("input[name=username]", username)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_selector("h1:has-text('Overview')", timeout=PATIENCE_MS)
    # The heading comes before the end of this load, which whoever counts loads must not see.
    page.wait_for_load_state("load", timeout=PATIENCE_MS)


@dataclass
class Troubles:
    """What a page complained of (scripts, content policy, missing files), and its reloads."""

    said: list[str] = field(default_factory=list)
    loads: int = 0

    def watch(self, page: Page) -> None:
        page.wait_for_load_state()  # a page shows its text before it tells that it is loaded
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("load", lambda _: self._count())

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.said.append(f"{message.text} {message.location.get('url', '')}")

    def _count(self) -> None:
        self.loads += 1


@dataclass(frozen=True)
class LivingSite:
    """The demonstration, started, with its administrator's password."""

    site: Site
    password: str

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.site.port}{path}"

    def device(self, name: str, community: str = "ambapur") -> str:
        """Path of a device's page."""
        found = self.site.value(
            "SELECT d.uuid FROM devices_device d JOIN devices_community c ON c.id = d.community_id "
            "WHERE d.name = ? AND c.slug = ?",
            name,
            community,
        )
        return f"/devices/{UUID(found)}/"

    def person(self, browser: Browser, username: str = "admin", **options: Any) -> Page:
        """A browser of their own (cookies, cache), logged in; `options` of Playwright's context."""
        page = browser.new_context(**options).new_page()
        sign_in(page, self.site, self.password, username)
        return page

    def run(self, code: str) -> None:
        """Carry out Python in the site's own configuration, as its operator would."""
        environment = self.site.environment | {
            "REDIS_URL": f"redis://127.0.0.1:{self.site.environment['VALKEY_PORT']}/0"
        }
        command = [sys.executable, "manage.py", "shell", "-c", code]
        subprocess.run(command, cwd=PROJECT, env=environment, check=True)

    def provider(self, path: str, body: object = None, method: str | None = None) -> Any:
        """Ask the control interface of the simulated provider."""
        url = f"http://127.0.0.1:{self.site.environment['SIMULATOR_PORT']}/control/{path}"
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(url, data, method=method), timeout=20) as answer:
            return json.load(answer)
