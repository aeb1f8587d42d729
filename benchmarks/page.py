"""Server time and queries of the dashboards, in process, for small and large networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from django.db import connection
from django.test import Client
from django.utils import timezone

from benchmarks.fleet import Network, build
from benchmarks.report import Figure, percentile

LIMIT_MS = 100.0
LIMIT_QUERIES = 15
# The demonstration, and what a district has: the number of queries must be the same.
SIZES = (24, 300)
WARM_UPS = 5
SAMPLES = 60


class PageFailed(Exception):
    """A page did not answer with 200, so there is nothing to measure."""


def run() -> Iterator[Figure]:
    """p95 of the time in the handler with all its middleware, and the queries of one request."""
    for size in SIZES:
        network = build(size, timezone.now())
        client = Client(SERVER_NAME="127.0.0.1")
        client.force_login(network.member, "django.contrib.auth.backends.ModelBackend")
        for name, path in _pages(network).items():
            yield from _measure(f"{name}, {size} devices", partial(_get, client, path))


def _pages(network: Network) -> dict[str, str]:
    return {
        "overview": "/",
        "community": network.communities[0].get_absolute_url(),
        "device": network.devices[0].get_absolute_url(),
    }


def _get(client: Client, path: str) -> None:
    response = client.get(path)
    if response.status_code != 200:
        raise PageFailed(f"{path} answered {response.status_code}.")


def _measure(name: str, request: Callable[[], None]) -> Iterator[Figure]:
    for _ in range(WARM_UPS):
        request()
    taken = []
    for _ in range(SAMPLES):
        started = time.perf_counter()
        request()
        taken.append((time.perf_counter() - started) * 1000)
    yield Figure("page", f"{name}: p95 server time", percentile(taken, 95), LIMIT_MS, "ms", SAMPLES)
    yield Figure("page", f"{name}: queries", _queries(request), LIMIT_QUERIES, "queries", 1)


def _queries(request: Callable[[], None]) -> int:
    count = 0

    def counted(execute: Callable[..., object], *args: object) -> object:
        nonlocal count
        count += 1
        return execute(*args)

    with connection.execute_wrapper(counted):
        request()
    return count
