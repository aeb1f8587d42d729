"""One durable reading end to end: normalised, stored, made the latest, told to whoever watches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median

from django.db import connection

from benchmarks.filled import devices, execute, timed
from benchmarks.report import Figure, percentile
from devices.models import Connection, FieldMapping, Source, ThingSpeakChannel
from devices.readings.samples import Origin
from devices.readings.store import get_store
from ingestion.entries import Entry
from ingestion.pipeline import Delivery, ingest
from ingestion.rules import field_rules

RUNS = 500
FIELDS = 8
NOW = datetime(2026, 11, 3, 9, tzinfo=UTC)
MOST_MS = 3.0


def run() -> Iterator[Figure]:
    """Milliseconds from an entry of eight fields to its commit on disk and its message sent."""
    source = _source()
    rules = field_rules(source).usable
    assert len(rules) == FIELDS
    numbers = iter(range(1, RUNS + 10))

    def one() -> None:
        number = next(numbers)
        at = NOW + timedelta(seconds=number)
        fields = {f"field{n}": f"{number * n / 8}" for n in range(1, FIELDS + 1)}
        entry = Entry(at, number, fields)
        done = ingest(Delivery(source, rules, [entry], [], Origin.LIVE), at)
        assert done.written.new_values == FIELDS

    ours = timed(one, RUNS)
    table = "CREATE TABLE bench_commit (at timestamptz, v float8)"
    execute(table)
    bare = timed(lambda: execute("INSERT INTO bench_commit VALUES (%s, 1.0)", NOW), RUNS)
    what = f"one reading of {FIELDS} values, synchronous_commit={_setting('synchronous_commit')}, "
    what += f"fsync={_setting('fsync')}"
    yield Figure("durable", f"{what}, p50", median(ours), MOST_MS, "ms", RUNS)
    yield Figure("durable", f"{what}, p95", percentile(ours, 95), 2 * MOST_MS, "ms", RUNS)
    yield Figure("durable", "beside one bare durable INSERT", median(ours), median(bare), "ms",
                 RUNS, at_least=0.1)  # fmt: skip


def _source() -> Source:
    (metrics,) = devices(1, FIELDS, NOW)
    get_store().roll_up(NOW)  # as on any site that lives
    account = Connection.objects.create(name="Account", base_url="http://127.0.0.1:1")
    channel = ThingSpeakChannel.objects.create(
        device=metrics[0].device, connection=account, channel_id=1
    )
    for n, metric in enumerate(metrics, 1):
        FieldMapping.objects.create(source=channel, field=f"field{n}", metric=metric)
    return (
        Source.objects.select_related("device", "connection")
        .prefetch_related("mappings__metric", "mappings__calibrations")
        .get(pk=channel.pk)
    )


def _setting(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        ((value,),) = cursor.fetchall()
        return str(value)
