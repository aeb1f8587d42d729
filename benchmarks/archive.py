"""A year of minutes from the archive's files, beside the same from the rows they were made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from statistics import median

from benchmarks.filled import devices, execute, fill, timed
from benchmarks.report import Figure, percentile
from devices.models import Device, Metric
from devices.readings.charts import series
from devices.readings.keeping import Cut
from devices.readings.models import ArchivedFile
from devices.readings.samples import AggregateRequest
from devices.readings.store import get_store
from devices.readings.store.tables import ROWS

NEIGHBOURS = 3
UNTIL = datetime(2026, 10, 1, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=365)
WIDTH = timedelta(minutes=1050)
"""Some five hundred buckets of a year, which no tier answers: not whole hours."""
RUNS, RAW_RUNS = 50, 7
MOST_MS = 500.0
MOST_DAY_MS = 100.0
MOST_BYTES = 10.0
A_SECOND = 100_000.0


def run() -> Iterator[Figure]:
    """Milliseconds of each, and what it took to archive the year."""
    found = devices(1 + NEIGHBOURS, 4, SINCE)
    for metrics in found:
        fill(metrics, SINCE, UNTIL, timedelta(minutes=1))
    execute(f"VACUUM ANALYZE {ROWS.name}")
    get_store().roll_up(UNTIL + timedelta(hours=1))
    metric = Metric.objects.select_related("device__community").get(pk=found[1][2].pk)
    from_rows = timed(_year(metric), RAW_RUNS)
    before = get_store().aggregate(_asked(metric))

    started = time.perf_counter()
    cut = Cut(UNTIL + timedelta(days=2), archive=True)
    dropped = get_store().drop(dict.fromkeys(Device.objects.values_list("pk", flat=True), cut))
    seconds = time.perf_counter() - started
    assert dropped.trouble is None, dropped.trouble
    archived = get_store().aggregate(_asked(metric))
    assert [one.count for one in archived.buckets] == [one.count for one in before.buckets]
    size = sum(ArchivedFile.objects.values_list("size", flat=True)) / dropped.archived

    year = timed(_year(metric), RUNS)
    day = timed(_day(metric), RUNS)
    what = f"a year at one a minute in {len(archived.buckets)} buckets"
    yield Figure("archive", f"{what}, p50, beside the rows", median(year), median(from_rows), "ms",
                 RUNS)  # fmt: skip
    yield Figure("archive", f"{what}, p95", percentile(year, 95), MOST_MS, "ms", RUNS)
    yield Figure("archive", "a day of it as single readings, p95", percentile(day, 95),
                 MOST_DAY_MS, "ms", RUNS)  # fmt: skip
    yield Figure("archive", "written, compared and dropped", dropped.archived / seconds, A_SECOND,
                 "readings/s", dropped.archived, more_is_better=True)  # fmt: skip
    yield Figure("archive", "on disk", size, MOST_BYTES, "bytes/reading", dropped.archived)


def _asked(metric: Metric) -> AggregateRequest:
    return AggregateRequest(metric.pk, SINCE, UNTIL, WIDTH)


def _year(metric: Metric) -> Callable[[], object]:
    return lambda: get_store().aggregate(_asked(metric))


def _day(metric: Metric) -> Callable[[], object]:
    since = SINCE + timedelta(days=100)
    return lambda: series(metric, since, since + timedelta(days=1), 2000)
