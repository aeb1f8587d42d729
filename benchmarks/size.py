"""What thirty million values take up on PostgreSQL, and on how many pages a day of a channel lies.

Rows come by turns, a channel after the other, as polls bring them; then their month is sorted, as
the site does it a few days after the month's end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.utils import timezone

from benchmarks.filled import devices, execute
from benchmarks.report import Figure
from devices.readings.models import Slot
from devices.readings.store import partitions
from devices.readings.store.ordering import put_in_order
from devices.readings.store.tables import NUMBERS, ROWS

CHANNELS = 250
FIELDS = 8
READINGS = 15_000
EVERY = timedelta(minutes=2)
VALUES = CHANNELS * FIELDS * READINGS


def run() -> Iterator[Figure]:
    """Bytes a value with indexes; pages beside the fewest possible; the time that sorting takes."""
    begins = partitions.month_of(timezone.now() - timedelta(days=70)).begins
    partition = partitions.name_of(ROWS.name, partitions.month_of(begins))
    fields = devices(CHANNELS, FIELDS, begins)
    _fill(begins)
    execute(f"ANALYZE {partition}")
    name = f"{VALUES // 1_000_000} million values"
    yield Figure("size", f"{name} as they came", _size(partition) / VALUES, 25.0, "B/value", 1)
    scattered = _pages(partition, fields[7][0].pk, begins)
    started = time.perf_counter()
    sorted_month = put_in_order(ROWS, timezone.now())
    took = time.perf_counter() - started
    if sorted_month != partitions.month_of(begins):
        raise RuntimeError("The month was not sorted.")
    yield Figure("size", f"{name}, sorted", _size(partition) / VALUES, 25.0, "B/value", 1)
    what = f"24 h of a channel, beside the fewest (as they came: {scattered:.0f} times)"
    pages = _pages(partition, fields[7][0].pk, begins)
    yield Figure("size", what, pages, 2.0, "times the pages", 1)
    rows = VALUES / FIELDS
    yield Figure("size", "sorting a month beside readers and writers", rows / took, 100_000,
                 "rows/s", 1, more_is_better=True, at_least=0.5)  # fmt: skip


def _fill(begins: datetime) -> None:
    """All channels at one time, then all at the next."""
    partitions.ensure(ROWS.name, [partitions.month_of(begins)])
    streams = sorted(set(Slot.objects.values_list("stream_id", flat=True)))
    numbers = ", ".join(f"50 + 40 * sin((n + s.id) / {700 + 90 * place}.0)"
                        for place in range(FIELDS))  # fmt: skip
    execute(
        f"INSERT INTO {ROWS.name} (at, stream_id, origin, revised, sequence, {', '.join(NUMBERS)}) "
        f"SELECT %s + n * %s, s.id, 1, 0, n, {numbers} FROM generate_series(0, %s) n "
        "CROSS JOIN unnest(%s::int[]) AS s(id)",
        begins, EVERY, READINGS - 1, streams,
    )  # fmt: skip


def _size(partition: str) -> int:
    return int(_one("SELECT pg_total_relation_size(%s::regclass)", partition))


def _pages(partition: str, metric: int, begins: datetime) -> float:
    """Pages of the table on which a day of a channel lies, beside the fewest that could hold it."""
    day = datetime(begins.year, begins.month, 9, tzinfo=UTC)
    where = (
        f"FROM {partition} r JOIN readings_slot s ON s.stream_id = r.stream_id "
        "WHERE s.metric_id = %s AND at >= %s AND at < %s"
    )
    given = (metric, day, day + timedelta(days=1))
    pages = _one(f"SELECT count(DISTINCT (r.ctid::text::point)[0]) {where}", *given)
    rows = _one(f"SELECT count(*) {where}", *given)
    a_page = _one("SELECT reltuples / relpages FROM pg_class WHERE oid = %s::regclass", partition)
    return pages / max(1.0, rows / a_page)


def _one(sql: str, *params: object) -> float:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        ((value,),) = cursor.fetchall()
        return float(value)
