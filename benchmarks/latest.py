"""The newest reading of 500 metrics in one call, beside the same rows by hand."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median

from django.db import connection

from benchmarks.filled import devices, execute, timed
from benchmarks.report import Figure
from devices.readings.samples import Sample
from devices.readings.store import get_store

DEVICES, METRICS = 2_000, 5
ASKED = 500
NOW = datetime(2026, 11, 3, 9, tzinfo=UTC)
RUNS = 200
MOST_MS = 5.0


def run() -> Iterator[Figure]:
    """Milliseconds for 500 of 10,000 metrics, picked at random, after they were updated often."""
    found = devices(DEVICES, METRICS, NOW)
    get_store().roll_up(NOW - timedelta(days=1))  # as on any site that lives
    for minute in range(20):
        at = NOW + timedelta(minutes=minute)
        get_store().write(
            [Sample(some[0].device_id, at, 1, {one.pk: 2.5 for one in some}) for some in found]
        )
    for table in ("readings_latestrow", "readings_slot", "devices_metric", "readings_row"):
        execute(f"VACUUM ANALYZE {table}")  # as the server does by itself, a minute later
    keys = random.Random(7).sample([one.pk for some in found for one in some], ASKED)
    ours = timed(lambda: get_store().latest(keys), RUNS)
    assert len(get_store().latest(keys)) == ASKED
    by_hand = timed(lambda: _by_hand(keys), RUNS)
    what = f"newest of {ASKED} metrics"
    yield Figure("latest", f"{what}, p50", median(ours), MOST_MS, "ms", RUNS)
    yield Figure("latest", f"{what}, beside raw SQL", median(ours), median(by_hand), "ms", RUNS,
                 at_least=0.25)  # fmt: skip


def _by_hand(keys: list[int]) -> int:
    """The rows alone, nothing made of them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.metric_id, s.position, l.* FROM readings_slot s "
            "JOIN readings_latestrow l ON l.stream_id = s.stream_id WHERE s.metric_id = ANY(%s)",
            [keys],
        )
        return len(cursor.fetchall())
