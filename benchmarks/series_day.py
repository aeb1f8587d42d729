"""24 hours of 50 metrics in one call, one reading a minute, beside the same rows by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median

from django.db import connection

from benchmarks.filled import devices, execute, fill, timed
from benchmarks.report import Figure, percentile
from devices.readings.models import Slot
from devices.readings.samples import HistoriesRequest
from devices.readings.store import get_store
from devices.readings.store.tables import ROWS

DEVICES, METRICS = 10, 5
NEIGHBOURS = 90
UNTIL = datetime(2026, 11, 3, 9, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=1)
RUNS = 100
MOST_MS = 50.0


def run() -> Iterator[Figure]:
    """Milliseconds until every reading of all 50 is there, at one a minute and at one in five."""
    found = devices(DEVICES + NEIGHBOURS, METRICS, SINCE)
    for place, metrics in enumerate(found):
        every = timedelta(minutes=1 if place < DEVICES else 5)
        fill(metrics, SINCE - timedelta(days=1), UNTIL + timedelta(hours=6), every)
    execute(f"VACUUM ANALYZE {ROWS.name}")
    for minutes, some in ((1, found[:DEVICES]), (5, found[DEVICES : 2 * DEVICES])):
        keys = [metric.pk for metrics in some for metric in metrics]
        request = HistoriesRequest(keys, SINCE, UNTIL)
        ours = timed(lambda request=request: get_store().histories(request), RUNS)  # type: ignore[misc]
        lines = get_store().histories(request).values()
        assert [len(line.at) for line in lines] == [24 * 60 // minutes] * DEVICES * METRICS
        by_hand = timed(lambda keys=keys: _by_hand(keys), RUNS)  # type: ignore[misc]
        what = f"24 h of {len(keys)} metrics at one in {minutes} min"
        yield Figure("series-day", f"{what}, p95", percentile(ours, 95), MOST_MS, "ms", RUNS)
        yield Figure("series-day", f"{what}, median beside raw SQL", median(ours),
                     median(by_hand), "ms", RUNS, at_least=0.5)  # fmt: skip


def _by_hand(keys: list[int]) -> int:
    """The rows alone, nothing made of them."""
    streams = list(Slot.objects.filter(metric__in=keys).values_list("stream", flat=True).distinct())
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT stream_id, at, v1, v2, v3, v4, v5 FROM {ROWS.name} "
            "WHERE stream_id = ANY(%s) AND at >= %s AND at < %s ORDER BY stream_id, at",
            [streams, SINCE, UNTIL],
        )
        return len(cursor.fetchall())
