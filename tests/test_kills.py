"""Whatever dies at three in the morning comes back by itself, and no reading is lost or doubled."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import redis

from telemetry_site.embedded import valkey
from telemetry_site.tests.whole_site import Site, parent, wait_for

# The demonstration's dead sensor, and one that never said anything; the other devices report.
DEAD, NEVER = 720007, 730008
ALL_BUT_ONE = 23
# So many sources must have been asked with success before data counts as flowing again.
MANY = 5
# Channels that say something often enough to be waited for; those of a minute would take minutes.
FAST_S = 15
SOURCES = (
    "devices_source source JOIN devices_thingspeakchannel channel "
    "ON channel.source_ptr_id = source.id"
)
# Time (whole seconds since 1970) and entry number of a row.
Identity = tuple[int, int]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.clear()


@pytest.mark.timeout(240)
def test_every_process_comes_back_and_nothing_is_lost_or_doubled(site: Site) -> None:
    start = datetime.now(UTC) - timedelta(minutes=5)
    site.start(DEMO="1")
    # A provider that is well again is asked again soon: a test should not wait for minutes.
    site.change("UPDATE devices_connection SET breaker_open_s = 2")
    wait_until_flowing(site, start, ALL_BUT_ONE)

    with slow_answers(site):
        wait_for(lambda: bool(control(site, "journal?limit=0")["total"]["in_flight"]))
        kill(site, "worker")
    address = valkey.configured_url(site.data_dir / "valkey")
    assert address is not None
    with redis.Redis.from_url(address) as client:
        client.set("of this test", "kept")
        for name in ("beat", "web", "valkey"):
            kill(site, name)
        assert client.get("of this test") == b"kept"
    for child in children(site, site.main_process("worker")):
        os.kill(child, signal.SIGKILL)
    wait_until_flowing(site, datetime.now(UTC))
    hang(site, site.main_process("simulator"))
    wait_until_flowing(site, datetime.now(UTC))

    channels = [one for one in control(site, "catalogue") if one["id"] not in (DEAD, NEVER)]
    end = datetime.now(UTC)
    fast = [one["id"] for one in channels if one["cadence_s"] <= FAST_S]
    wait_for(lambda: all(cursor(site, channel) > end for channel in fast))
    differences = {
        one["name"]: difference(site, one["id"], start, min(end, cursor(site, one["id"])))
        for one in channels
    }
    assert {name: rows for name, rows in differences.items() if rows} == {}
    assert offline(site) <= {DEAD}
    assert site.stop() == 0
    assert site.processes() == {}


def kill(site: Site, name: str) -> None:
    """Kill a process as the kernel does when memory runs out; wait until all is well again."""
    os.kill(site.main_process(name), signal.SIGKILL)
    site.wait_to_read(f"{name} ended (signal 9); started again, 1st time")
    site.main_process(name)
    wait_until_flowing(site, datetime.now(UTC))


def children(site: Site, pid: int) -> list[int]:
    return [one for one in site.processes() if parent(one) == pid]


@contextmanager
def slow_answers(site: Site) -> Iterator[None]:
    """The provider takes its time, so that requests are under way at any moment."""
    control(site, "faults", {"kind": "latency", "seconds": 1})
    yield
    control(site, "faults", method="DELETE")


def hang(site: Site, simulator: int) -> None:
    """The provider accepts connections and says nothing, until polls were given up."""
    began = datetime.now(UTC)
    os.kill(simulator, signal.SIGSTOP)
    try:
        wait_for(lambda: asked(site, began, "timeout") > 0)
    finally:
        os.kill(simulator, signal.SIGCONT)


def wait_until_flowing(site: Site, since: datetime, sources: int = MANY) -> None:
    """Wait until so many sources were asked with success since then, and the site is ready."""
    wait_for(lambda: asked(site, since, "ok") >= sources and site.get("/readyz") == 200)


def asked(site: Site, since: datetime, outcome: str) -> int:
    """How many sources' live polls came to this outcome since then."""
    query = (
        "SELECT count(DISTINCT source_id) FROM ingestion_polllog "
        "WHERE lane = 'live' AND outcome = ? AND at > ?"
    )
    # A time as Django writes it in SQLite.
    instant = since.replace(tzinfo=None).isoformat(" ", "microseconds")
    return int(site.value(query, outcome, instant))


def control(site: Site, path: str, body: object = None, method: str | None = None) -> Any:
    """Ask the control interface of the site's simulator."""
    url = f"http://127.0.0.1:{site.environment['SIMULATOR_PORT']}/control/{path}"
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, method=method), timeout=20) as answer:
        return json.load(answer)


def difference(site: Site, channel: int, start: datetime, end: datetime) -> dict[str, Any]:
    """What provider and site do not have in common; empty when they agree."""
    provided, kept = simulated(site, channel, start, end), stored(site, channel, start, end)
    assert provided
    found = {"lost": provided - kept, "doubled or invented": kept - provided}
    return {what: rows for what, rows in found.items() if rows}


def simulated(site: Site, channel: int, start: datetime, end: datetime) -> Counter[Identity]:
    """Every row that the provider has."""
    window = f"start={start:%Y-%m-%dT%H:%M:%SZ}&end={end:%Y-%m-%dT%H:%M:%SZ}"
    rows = control(site, f"rows?channel={channel}&{window}")["rows"]
    return Counter((int(datetime.fromisoformat(at).timestamp()), entry) for at, entry in rows)


def stored(site: Site, channel: int, start: datetime, end: datetime) -> Counter[Identity]:
    """Every row that the site keeps."""
    query = f"""
        SELECT row.at / 1000, row.sequence
        FROM {SOURCES}
        JOIN readings_stream stream ON stream.device_id = source.device_id
        JOIN readings_row row ON row.stream_id = stream.id
        WHERE channel.channel_id = ? AND row.at / 1000 BETWEEN ? AND ?
    """
    limits = int(start.timestamp()), int(end.timestamp())
    return Counter(site.rows(query, channel, *limits))


def cursor(site: Site, channel: int) -> datetime:
    """Time of the newest row that the site has read; everything before it must be there."""
    query = f"""
        SELECT state.cursor_at FROM {SOURCES}
        JOIN ingestion_pollstate state ON state.source_id = source.id
        WHERE channel.channel_id = ?
    """
    return datetime.fromisoformat(site.value(query, channel)).replace(tzinfo=UTC)


def offline(site: Site) -> set[int]:
    """Channels of devices that were ever called offline."""
    query = f"""
        SELECT channel.channel_id FROM {SOURCES}
        JOIN alerts_alert alert ON alert.device_id = source.device_id
        WHERE alert.kind = 'device_offline'
    """
    return {channel for (channel,) in site.rows(query)}
