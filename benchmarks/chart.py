"""A year of one metric, one reading a minute, as a chart of 500 places beside raw SQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median

from django.db import connection

from benchmarks.filled import devices, execute, fill, timed
from benchmarks.report import Figure, percentile
from devices.readings.charts import series
from devices.readings.models import Slot
from devices.readings.store import get_store
from devices.readings.store.tables import NUMBERS, ROWS

NEIGHBOURS = 3
UNTIL = datetime(2026, 11, 1, 9, 17, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=365)
PLACES = 500
RUNS, RAW_RUNS = 100, 7
MOST_MS = 20.0
FASTER = 20.0


def run() -> Iterator[Figure]:
    """Milliseconds of the chart as the page asks for it."""
    found = devices(1 + NEIGHBOURS, 4, SINCE)
    for metrics in found:
        fill(metrics, SINCE, UNTIL, timedelta(minutes=1))
    execute(f"VACUUM ANALYZE {ROWS.name}")
    get_store().roll_up(UNTIL + timedelta(hours=1))
    execute("VACUUM ANALYZE readings_rollup_hour, readings_rollup_day")
    metric = found[1][2]
    metric = type(metric).objects.select_related("device__community").get(pk=metric.pk)
    chart = timed(lambda: series(metric, SINCE, UNTIL, PLACES), RUNS)
    raw = timed(lambda: _raw(metric.pk), RAW_RUNS)
    tier = series(metric, SINCE, UNTIL, PLACES).tier
    what = f"a year at one a minute in {PLACES} places, {tier} tier"
    yield Figure("chart", f"{what}, p95", percentile(chart, 95), MOST_MS, "ms", RUNS)
    yield Figure("chart", f"{what}, beside raw SQL", median(chart), median(raw), "ms", RUNS,
                 at_least=FASTER)  # fmt: skip


def _raw(metric: int) -> int:
    """The same number of buckets from the readings, as one would write it by hand."""
    slot = Slot.objects.get(metric=metric)
    value = NUMBERS[slot.position - 1]
    width = (UNTIL - SINCE) / PLACES
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT date_bin('{width.total_seconds()} s', at, '1970-01-01Z'), "
            f"min({value}), avg({value}), max({value}) FROM {ROWS.name} "
            "WHERE stream_id = %s AND at >= %s AND at < %s GROUP BY 1 ORDER BY 1",
            [slot.stream_id, SINCE, UNTIL],
        )
        return len(cursor.fetchall())
