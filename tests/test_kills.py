"""Whatever dies at three in the morning comes back by itself, and no reading is lost or doubled."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from telemetry_site.tests.whole_site import Site, parent, wait_for

pytestmark = pytest.mark.timeout(240)

# The demonstration's dead sensor, and one that never said anything; every other device reports.
DEAD, NEVER = 720007, 730008
# So many sources must have been asked with success before data counts as flowing again.
MANY = 5
# Channels that say something often enough for a short test; those of a minute would take minutes.
FAST_S = 20
SOURCES = (
    "JOIN devices_source source JOIN devices_thingspeakchannel channel "
    "ON channel.source_ptr_id = source.id AND"
)
Identity = tuple[int, int]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.clear()


def test_every_process_comes_back_and_nothing_is_lost(site: Site) -> None:
    start = datetime.now(UTC) - timedelta(minutes=5)
    site.start(DEMO="1")
    flows_since(site, start)

    for name in ("worker", "beat", "web", "valkey"):
        os.kill(site.main_process(name), signal.SIGKILL)
        site.wait_to_read(f"{name} ended (signal 9); started again, 1st time")
        site.main_process(name)
        flows_since(site, datetime.now(UTC))
    for child in children(site, site.main_process("worker")):
        os.kill(child, signal.SIGKILL)
    flows_since(site, datetime.now(UTC))
    hang(site, site.main_process("simulator"))
    flows_since(site, datetime.now(UTC))

    channels = [one for one in control(site, "catalogue") if is_fast(one)]
    end = datetime.now(UTC)
    wait_for(lambda: all(read_until(site, one["id"], end) for one in channels))
    for channel in channels:
        expected = simulated(site, channel["id"], start, end)
        found = stored(site, channel["id"], start, end)
        assert {"lost": expected - found, "doubled": found - expected} == {
            "lost": Counter(),
            "doubled": Counter(),
        }, channel["name"]
    assert offline(site) <= {DEAD}
    assert site.stop() == 0
    assert site.processes() == {}


def is_fast(channel: dict[str, Any]) -> bool:
    return channel["cadence_s"] <= FAST_S and channel["id"] not in (DEAD, NEVER)


def flows_since(site: Site, instant: datetime) -> None:
    """Waits until many sources were asked with success after `instant`, and the site is ready."""
    wait_for(lambda: asked(site, instant, "ok") >= MANY and site.get("/readyz") == 200)


def asked(site: Site, since: datetime, outcome: str) -> int:
    """How many sources' live polls came to this outcome since then."""
    query = (
        "SELECT count(DISTINCT source_id) FROM ingestion_polllog "
        "WHERE lane = 'live' AND outcome = ? AND at > ?"
    )
    return int(site.value(query, outcome, as_stored(since)))


def as_stored(instant: datetime) -> str:
    """A time as Django writes it in SQLite."""
    return f"{instant.replace(tzinfo=None):%Y-%m-%d %H:%M:%S.%f}"


def children(site: Site, pid: int) -> list[int]:
    return [one for one in site.processes() if parent(one) == pid]


def hang(site: Site, simulator: int) -> None:
    """The provider accepts connections and says nothing, until polls were given up."""
    began = datetime.now(UTC)
    os.kill(simulator, signal.SIGSTOP)
    try:
        wait_for(lambda: asked(site, began, "timeout") >= 2)
    finally:
        os.kill(simulator, signal.SIGCONT)


def control(site: Site, path: str) -> Any:
    port = site.environment["SIMULATOR_PORT"]
    with urlopen(f"http://127.0.0.1:{port}/control/{path}", timeout=20) as answer:
        return json.load(answer)


def simulated(site: Site, channel: int, start: datetime, end: datetime) -> Counter[Identity]:
    """Time (whole seconds since 1970) and entry number of every row that the provider has."""
    window = f"start={start:%Y-%m-%dT%H:%M:%SZ}&end={end:%Y-%m-%dT%H:%M:%SZ}"
    rows = control(site, f"rows?channel={channel}&{window}")["rows"]
    return Counter((int(datetime.fromisoformat(at).timestamp()), entry) for at, entry in rows)


def stored(site: Site, channel: int, start: datetime, end: datetime) -> Counter[Identity]:
    """The same of every reading that the site keeps."""
    query = f"""
        SELECT row.at / 1000, row.sequence FROM readings_row row
        JOIN readings_stream stream ON stream.id = row.stream_id
        {SOURCES} source.device_id = stream.device_id
        WHERE channel.channel_id = ? AND row.at / 1000 BETWEEN ? AND ?
    """
    limits = int(start.timestamp()), int(end.timestamp())
    return Counter((at, entry) for at, entry in site.rows(query, channel, *limits))


def read_until(site: Site, channel: int, end: datetime) -> bool:
    """Whether everything up to `end` must have been read: a row after it has."""
    query = f"SELECT cursor_at FROM ingestion_pollstate state {SOURCES} state.source_id = source.id"
    (cursor,) = site.rows(f"{query} WHERE channel.channel_id = ?", channel)[0]
    return bool(cursor and cursor > as_stored(end))


def offline(site: Site) -> set[int]:
    """Channels of devices that were ever called offline."""
    query = (
        f"SELECT channel.channel_id FROM alerts_alert alert {SOURCES} "
        "source.device_id = alert.device_id WHERE alert.kind = 'device_offline'"
    )
    return {channel for (channel,) in site.rows(query)}
