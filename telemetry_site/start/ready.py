"""Asks the site that was just started whether it lives and whether it is ready."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from urllib.parse import urlsplit

from telemetry_site.start.configuration import Configuration


@dataclass(frozen=True)
class Answer:
    """Status and body of a health page; status 0 where nobody answers yet."""

    status: int
    body: str

    @property
    def good(self) -> bool:
        """Whether the page says yes."""
        return self.status == http.HTTPStatus.OK


ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared with, not bound to


def ask(configuration: Configuration, path: str) -> Answer:
    """Ask a health page, as the proxy before the site would (host and scheme of SITE_URL)."""
    host = ANY_ADDRESS.get(configuration.host, configuration.host)
    site = urlsplit(configuration.site_url)
    connection = http.client.HTTPConnection(host, configuration.port, timeout=5)
    try:
        headers = {"Host": site.netloc, "X-Forwarded-Proto": site.scheme}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.read().decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException):
        return Answer(0, "")
    finally:
        connection.close()
